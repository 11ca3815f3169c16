/** Writes src/api/schema.ts, the types of the API, from its description. */
import { readFile, writeFile } from 'node:fs/promises';
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript';

const description = JSON.parse(await readFile(new URL('../../api/openapi.json', import.meta.url), 'utf8'));
const types = astToString(await openapiTS(description));
await writeFile(new URL('../src/api/schema.ts', import.meta.url), `${COMMENT_HEADER}${types}`);
