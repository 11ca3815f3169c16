import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { useEffect, useState, type ReactNode } from 'react';
import { BrowserRouter } from 'react-router';
import { ApiError } from '@/api/client';
import { me } from '@/api/me';
import { sessionEvents } from '@/api/session';
import { ErrorBoundary } from './ErrorBoundary';
import { AppRoutes } from './routes';

/** The whole app. */
export function App() {
  return (
    <Providers>
      <BrowserRouter>
        <AppRoutes />
      </BrowserRouter>
    </Providers>
  );
}

/** Asks again after a failure of the server or the way to it; a refusal would be the same again. */
function retryOnce(failures: number, error: Error): boolean {
  return failures < 1 && !(error instanceof ApiError && error.status >= 400 && error.status < 500);
}

/** What every page stands on; tests bring their own router. */
export function Providers({ children }: { readonly children: ReactNode }) {
  const [queries] = useState(
    () => new QueryClient({ defaultOptions: { queries: { retry: retryOnce, retryDelay: 1_000, networkMode: 'always' } } }),
  );
  useEffect(() => sessionEvents.on('ended', () => queries.setQueryData(me().queryKey, null)), [queries]);
  return (
    <ErrorBoundary>
      <QueryClientProvider client={queries}>{children}</QueryClientProvider>
    </ErrorBoundary>
  );
}
