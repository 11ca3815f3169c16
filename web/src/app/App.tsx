import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { BrowserRouter } from 'react-router';
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

/** What every page stands on; tests bring their own router. */
export function Providers({ children }: { readonly children: ReactNode }) {
  const [queries] = useState(
    () => new QueryClient({ defaultOptions: { queries: { retry: 1, retryDelay: 1_000, networkMode: 'always' } } }),
  );
  return (
    <ErrorBoundary>
      <QueryClientProvider client={queries}>{children}</QueryClientProvider>
    </ErrorBoundary>
  );
}
