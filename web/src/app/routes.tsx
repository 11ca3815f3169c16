import { lazy, Suspense } from 'react';
import { Route, Routes, useParams } from 'react-router';
import { parseChannel } from '@/lib/channel';
import { HomePage } from './pages/HomePage';
import { NotFoundPage } from './pages/NotFoundPage';
import { Shell } from './Shell';

// Most visits never see these.
const authPages = () => import('./pages/AuthPages');
const LoginPage = lazy(async () => ({ default: (await authPages()).LoginPage }));
const RegisterPage = lazy(async () => ({ default: (await authPages()).RegisterPage }));
const SetupPage = lazy(async () => ({ default: (await authPages()).SetupPage }));
const ForgotPage = lazy(async () => ({ default: (await authPages()).ForgotPage }));
const ResetPage = lazy(async () => ({ default: (await authPages()).ResetPage }));
const VerifyPage = lazy(async () => ({ default: (await authPages()).VerifyPage }));
const DashboardPage = lazy(async () => ({ default: (await import('./pages/DashboardPage')).DashboardPage }));
const SettingsPage = lazy(async () => ({ default: (await import('./pages/SettingsPage')).SettingsPage }));
const AdminPage = lazy(async () => ({ default: (await import('./pages/AdminPage')).AdminPage }));
const RulesPage = lazy(async () => ({ default: (await import('./pages/RulesPage')).RulesPage }));
const SearchPage = lazy(async () => ({ default: (await import('./pages/SearchPage')).SearchPage }));
const ApiDocsPage = lazy(async () => ({ default: (await import('./pages/ApiDocsPage')).ApiDocsPage }));
const FollowingPage = lazy(async () => ({ default: (await import('./pages/FollowingPage')).FollowingPage }));
// Whoever only looks at the list does not wait for the player.
const WatchPage = lazy(async () => ({ default: (await import('./pages/WatchPage')).WatchPage }));
const ChatPage = lazy(async () => ({ default: (await import('./pages/ChatPage')).ChatPage }));
const EmbedPage = lazy(async () => ({ default: (await import('./pages/EmbedPage')).EmbedPage }));

/** Which page stands at which address. */
export function AppRoutes() {
  return (
    <Routes>
      <Route path="/embed/:channel" element={<Embed />} />
      <Route path="/:handle/chat" element={<Chat />} />
      <Route element={<Shell />}>
        <Route index element={<HomePage />} />
        <Route path="/login" element={<LoginPage />} />
        <Route path="/register" element={<RegisterPage />} />
        <Route path="/setup" element={<SetupPage />} />
        <Route path="/forgot" element={<ForgotPage />} />
        <Route path="/reset" element={<ResetPage />} />
        <Route path="/verify" element={<VerifyPage />} />
        <Route path="/dashboard" element={<DashboardPage />} />
        <Route path="/settings" element={<SettingsPage />} />
        <Route path="/admin" element={<AdminPage />} />
        <Route path="/search" element={<SearchPage />} />
        <Route path="/following" element={<FollowingPage />} />
        <Route path="/rules" element={<RulesPage />} />
        <Route path="/api/docs" element={<ApiDocsPage />} />
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

/** `/@name/chat`, in a window of its own or a dock of the streamer's program. */
function Chat() {
  const { handle } = useParams();
  const channel = handle?.startsWith('@') ? parseChannel(handle.slice(1)) : null;
  if (channel !== null) {
    return (
      <Suspense>
        <ChatPage channel={channel} />
      </Suspense>
    );
  }
  return (
    <Shell>
      <NotFoundPage />
    </Shell>
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
