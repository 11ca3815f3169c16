import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { narrowed, readReference } from './reference';

const document: unknown = JSON.parse(readFileSync('../api/openapi.json', 'utf8'));
const reference = readReference(document, 'https://live.example.org');
const operations = reference.sections.flatMap((section) => section.operations);
const operation = (id: string) => {
  const found = operations.find((one) => one.id === id);
  if (found === undefined) throw new Error(`no operation ${id}`);
  return found;
};

test('every operation of the description is in a section', () => {
  const paths = (document as { paths: Record<string, Record<string, unknown>> }).paths;
  const count = Object.values(paths).reduce((sum, item) => sum + Object.keys(item).length, 0);
  expect(operations).toHaveLength(count);
  expect(new Set(operations.map(({ id }) => id)).size).toBe(count);
});

test('an operation says who may, what it takes, and how it fails', () => {
  const edit = operation('editChannel');
  expect(edit.scopes).toEqual(['channels']);
  expect([edit.session, edit.everybody]).toEqual([true, false]);
  expect(edit.parameters.map(({ name, required }) => [name, required])).toEqual([['name', true]]);
  expect(JSON.parse(edit.body)).toMatchObject({ title: 'Building a boat, day 12', tags: ['wood', 'beginners'] });
  const refused = edit.answers.find(({ status }) => status === '403');
  expect(refused?.problems.map(({ kind }) => kind)).toEqual(['csrf', 'forbidden', 'foreign-origin']);
  expect(refused?.problems.every(({ detail }) => detail !== '')).toBe(true);
});

test('curl lines can be copied: names are filled in and the body is JSON', () => {
  const { curl } = operation('createStreamKey');
  expect(curl).toContain('curl -X POST https://live.example.org/api/v1/channels/studio/keys');
  expect(curl).toContain("-H 'Authorization: Bearer mr_…'");
  expect(curl).toContain(`-d '{"name":"OBS at home"}'`);
  expect(operation('getMe').curl).not.toContain('-X');
  for (const { id, curl: line } of operations) expect(line, id).not.toContain('undefined');
});

test('operations are found by their words', () => {
  const found = narrowed(reference.sections, 'stream KEY rotate');
  expect(found.flatMap((section) => section.operations.map(({ id }) => id))).toEqual(['rotateStreamKey']);
  expect(narrowed(reference.sections, 'no such words')).toEqual([]);
});

test('what is no description is an empty reference', () => {
  expect(readReference(null, '')).toEqual({ version: '', description: '', sections: [] });
});
