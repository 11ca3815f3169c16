/**
 * Writes src/api/schema.ts, the types of the API, from its description. Operations are known by method and path here:
 * their names, which are those of functions in the server, are left out.
 */
import { readFile, writeFile } from 'node:fs/promises';
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript';

const description = JSON.parse(await readFile(new URL('../../api/openapi.json', import.meta.url), 'utf8'));
for (const path of Object.values(description.paths)) {
  for (const operation of Object.values(path)) delete operation.operationId;
}
const types = astToString(await openapiTS(description));
await writeFile(new URL('../src/api/schema.ts', import.meta.url), `${COMMENT_HEADER}${types}`);
