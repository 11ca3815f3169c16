import { lazy, Suspense } from 'react';
import { Route, Routes, useParams } from 'react-router';
import { parseChannel } from '@/lib/channel';
import { HomePage } from './pages/HomePage';
import { NotFoundPage } from './pages/NotFoundPage';
import { Shell } from './Shell';

// Whoever only looks at the list does not wait for the player.
const WatchPage = lazy(async () => ({ default: (await import('./pages/WatchPage')).WatchPage }));
const EmbedPage = lazy(async () => ({ default: (await import('./pages/EmbedPage')).EmbedPage }));

/** Which page stands at which address. */
export function AppRoutes() {
  return (
    <Routes>
      <Route path="/embed/:channel" element={<Embed />} />
      <Route element={<Shell />}>
        <Route index element={<HomePage />} />
        <Route path="/:handle" element={<Handle />} />
        <Route path="*" element={<NotFoundPage />} />
      </Route>
    </Routes>
  );
}

/** `/@name`: the router cannot match half a segment, so it is taken apart here. */
function Handle() {
  const { handle } = useParams();
  if (!handle?.startsWith('@')) return <NotFoundPage />;
  const channel = parseChannel(handle.slice(1));
  return channel === null ? <NotFoundPage channel /> : (
    <Suspense>
      <WatchPage channel={channel} />
    </Suspense>
  );
}

function Embed() {
  const channel = parseChannel(useParams().channel);
  if (channel !== null) {
    return (
      <Suspense>
        <EmbedPage channel={channel} />
      </Suspense>
    );
  }
  return (
    <Shell>
      <NotFoundPage channel />
    </Shell>
  );
}
