import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { workerScript } from './src/features/notices/worker/script.ts';

/** Where `npm run dev` finds a running Millrace: the real binary or `npm run mock`. */
const backend = process.env.MILLRACE_BACKEND ?? 'http://127.0.0.1:8080';

/** The service worker at its own address: a plain script, so no module of the app. */
const serviceWorker = (): Plugin => ({
  name: 'service-worker',
  generateBundle() {
    this.emitFile({ type: 'asset', fileName: 'sw.js', source: workerScript() });
  },
  configureServer({ middlewares }) {
    middlewares.use('/sw.js', (_, response) => {
      response.setHeader('Content-Type', 'text/javascript');
      response.end(workerScript());
    });
  },
});

export default defineConfig({
  plugins: [react(), serviceWorker()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  server: {
    proxy: {
      '/api': { target: backend, changeOrigin: true },
      '/live': { target: backend, changeOrigin: true },
      // Not with changeOrigin: the chat takes sockets of its own site only.
      '/chat': { target: backend, ws: true },
    },
  },
  build: {
    // The page runs under a Content-Security-Policy without 'unsafe-inline' and without data: addresses,
    // so nothing may be inlined into the document, the styles or the scripts.
    assetsInlineLimit: 0,
    // hls.js alone is about 580 kB and has a chunk of its own that only pages with a player load.
    chunkSizeWarningLimit: 640,
    target: ['chrome107', 'edge107', 'firefox104', 'safari16'],
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'hls', test: /node_modules[\\/]hls\.js/ },
            { name: 'react', test: /node_modules[\\/](react|react-dom|react-router|scheduler)[\\/]/ },
          ],
        },
      },
    },
  },
  test: {
    environment: 'jsdom',
    setupFiles: ['./src/testing/setup.ts'],
    css: { modules: { classNameStrategy: 'non-scoped' } },
    restoreMocks: true,
    // Deadlines, for a machine that does other things beside.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
