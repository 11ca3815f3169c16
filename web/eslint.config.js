import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

const features = ['account', 'admin', 'auth', 'browse', 'chat', 'notices', 'player', 'reference', 'search', 'studio'];

/** Folders that any other may use; they know nothing of a feature or of the app. */
const shared = ['api', 'components', 'lib', 'testing', 'text'];

/** Forbids `files` to import from `folders`, however the path is written. */
function forbid(files, folders, message) {
  const group = folders.flatMap((folder) => [`@/${folder}/**`, `**/../${folder.split('/').at(-1)}/**`]);
  return { files, rules: { 'no-restricted-imports': ['error', { patterns: [{ group, message }] }] } };
}

export default tseslint.config(
  { ignores: ['dist', 'src/api/schema.ts'] },
  ...tseslint.configs.strictTypeChecked,
  {
    files: ['src/**/*.{ts,tsx}', 'vite.config.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { 'react-hooks': reactHooks },
    rules: {
      ...reactHooks.configs.recommended.rules,
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'no-console': 'error',
      'no-duplicate-imports': ['error', { allowSeparateTypeImports: true }],
    },
  },
  // Imports run one way: shared, then features, then app. One feature never imports another.
  forbid(
    shared.map((folder) => `src/${folder}/**`),
    ['features', 'app'],
    'shared code must not know features or the app',
  ),
  ...features.map((feature) =>
    forbid(
      [`src/features/${feature}/**`],
      ['app', ...features.filter((other) => other !== feature).map((other) => `features/${other}`)],
      'a feature knows neither the app nor another feature: they meet in src/app',
    ),
  ),
  { files: ['**/*.{js,mjs}'], ...tseslint.configs.disableTypeChecked },
);
