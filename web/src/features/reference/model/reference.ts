import { shape } from '@/lib/shape';

/** One field of a body or one parameter. */
export interface Field {
  readonly name: string;
  readonly type: string;
  readonly description: string;
  readonly required: boolean;
}

/** One answer with what can be in it. */
export interface Answer {
  readonly status: string;
  readonly description: string;
  /** Kinds of problems with the sentence of each. */
  readonly problems: readonly { readonly kind: string; readonly detail: string }[];
  /** An example of the body, as it is written; empty for none. */
  readonly example: string;
}

/** One operation, ready to be shown. */
export interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly summary: string;
  readonly description: string;
  /** Scopes that let an API token in; `null` if none does, empty if any does. */
  readonly scopes: readonly string[] | null;
  readonly session: boolean;
  readonly everybody: boolean;
  readonly parameters: readonly Field[];
  readonly fields: readonly Field[];
  readonly body: string;
  readonly answers: readonly Answer[];
  readonly curl: string;
}

export interface Section {
  readonly name: string;
  readonly description: string;
  readonly operations: readonly Operation[];
}

export interface Reference {
  readonly version: string;
  readonly description: string;
  readonly sections: readonly Section[];
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const PROBLEM = 'application/problem+json';
const DEEPEST = 6;

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const written = (value: unknown): string => (value === undefined ? '' : JSON.stringify(value, null, 2));

/** Reads an OpenAPI 3.1 document. `site` is where it is served, for the examples. */
export function readReference(document: unknown, site: string): Reference {
  const root = shape.record(document);
  const info = shape.record(root.info);
  const operations = Object.entries(shape.record(root.paths)).flatMap(([path, item]) =>
    METHODS.filter((method) => method in shape.record(item)).map((method) => {
      const operation = shape.record(shape.record(item)[method]);
      return { tag: text(list(operation.tags)[0]), operation: readOperation(root, site, path, method, operation) };
    }),
  );
  const sections = list(root.tags).map((tag) => {
    const { name, description } = shape.record(tag);
    const own = operations.filter((one) => one.tag === name).map((one) => one.operation);
    return { name: text(name), description: text(description), operations: own };
  });
  return { version: text(info.version), description: text(info.description), sections };
}

/** The sections with those operations that have every word of `words`. */
export function narrowed(sections: readonly Section[], words: string): readonly Section[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const has = ({ id, method, path, summary, description }: Operation) => {
    const all = [id, method, path, summary, description].join(' ').toLowerCase();
    return wanted.every((word) => all.includes(word));
  };
  return sections
    .map((section) => ({ ...section, operations: section.operations.filter(has) }))
    .filter((section) => section.operations.length > 0);
}

type Node = Record<string, unknown>;

function readOperation(root: Node, site: string, path: string, method: string, operation: Node): Operation {
  const security = list(operation.security).map(shape.record);
  const token = security.find((one) => 'token' in one);
  const parameters = list(operation.parameters).map(shape.record);
  const content = shape.record(shape.record(operation.requestBody).content);
  const json = shape.record(content['application/json']);
  const schema = resolved(root, json.schema);
  const body = 'application/json' in content ? written(sample(root, json.schema, 0)) : '';
  return {
    id: text(operation.operationId),
    method: method.toUpperCase(),
    path,
    summary: text(operation.summary),
    description: text(operation.description),
    scopes: token === undefined ? null : list(token.token).map(text),
    session: security.some((one) => 'session' in one),
    everybody: security.some((one) => Object.keys(one).length === 0),
    parameters: parameters.map((parameter) => ({
      name: text(parameter.name),
      type: typeOf(root, parameter.schema),
      description: text(parameter.description),
      required: parameter.required === true,
    })),
    fields: fieldsOf(root, schema),
    body,
    answers: Object.entries(shape.record(operation.responses)).map(([status, answer]) => readAnswer(root, status, answer)),
    curl: curl(site, path, method, parameters, token !== undefined, body, Object.keys(content)[0]),
  };
}

function readAnswer(root: Node, status: string, answer: unknown): Answer {
  const { description, content } = resolved(root, answer);
  const kinds = shape.record(content);
  const examples = shape.record(shape.record(kinds[PROBLEM]).examples);
  const json = shape.record(kinds['application/json']);
  return {
    status,
    description: text(description),
    problems: Object.entries(examples).map(([kind, example]) => ({
      kind,
      detail: text(shape.record(resolved(root, example).value).detail),
    })),
    example: 'application/json' in kinds ? written(sample(root, json.schema, 0)) : '',
  };
}

/** What a reference leads to, or the value itself. */
function resolved(root: Node, value: unknown): Node {
  const node = shape.record(value);
  if (typeof node.$ref !== 'string') return node;
  const target = node.$ref.split('/').slice(1).reduce<unknown>((at, part) => shape.record(at)[part], root);
  return shape.record(target);
}

function fieldsOf(root: Node, schema: Node): readonly Field[] {
  const required = list(schema.required);
  return Object.entries(shape.record(schema.properties)).map(([name, property]) => ({
    name,
    type: typeOf(root, property),
    description: text(shape.record(property).description) || text(resolved(root, property).description),
    required: required.includes(name),
  }));
}

function typeOf(root: Node, value: unknown): string {
  const schema = resolved(root, value);
  const choices = list(schema.oneOf).concat(list(schema.anyOf));
  if (choices.length > 0) return [...new Set(choices.map((choice) => typeOf(root, choice)))].join(' | ');
  const named = list(schema.enum);
  if (named.length > 0) return named.map(written).join(' | ');
  const types = (Array.isArray(schema.type) ? schema.type : [schema.type]).map(text).filter(Boolean);
  return types.map((type) => (type === 'array' ? `${typeOf(root, schema.items)}[]` : text(schema.format) && type !== 'null' ? `${type} (${text(schema.format)})` : type)).join(' | ');
}

/** A value of a schema, made of its examples. */
function sample(root: Node, value: unknown, depth: number): unknown {
  const schema = resolved(root, value);
  if (schema.example !== undefined) return schema.example;
  if (list(schema.examples).length > 0) return list(schema.examples)[0];
  if (depth > DEEPEST) return undefined;
  const parts = list(schema.allOf);
  if (parts.length > 0) {
    return Object.assign({}, ...parts.map((part) => shape.record(sample(root, part, depth + 1)))) as unknown;
  }
  const choice = list(schema.oneOf).concat(list(schema.anyOf)).find((one) => shape.record(one).type !== 'null');
  if (choice !== undefined) return sample(root, choice, depth + 1);
  if (list(schema.enum).length > 0) return list(schema.enum)[0];
  const type = [schema.type].flat().find((one) => one !== 'null');
  if (type === 'array') return [sample(root, schema.items, depth + 1)];
  if (type === 'integer' || type === 'number') return typeof schema.minimum === 'number' ? schema.minimum : 0;
  if (type === 'boolean') return false;
  if (type === 'string') return STRINGS[text(schema.format)] ?? '…';
  const properties = Object.entries(shape.record(schema.properties));
  return Object.fromEntries(properties.map(([name, property]) => [name, sample(root, property, depth + 1)]));
}

const STRINGS: Readonly<Record<string, string>> = {
  'date-time': '2026-11-21T18:00:00Z',
  date: '2026-11-21',
  uuid: '0198c6d2-0000-7000-8000-000000000000',
  uri: 'https://live.example.org/',
};

function curl(site: string, path: string, method: string, parameters: readonly Node[], token: boolean, body: string, media: string | undefined): string {
  const filled = parameters
    .filter((parameter) => parameter.in === 'path' && typeof parameter.example === 'string')
    .reduce((at, parameter) => at.replace(`{${text(parameter.name)}}`, text(parameter.example)), path);
  const lines = [`curl${method === 'get' ? '' : ` -X ${method.toUpperCase()}`} ${site}${filled}`];
  if (token) lines.push("-H 'Authorization: Bearer mr_…'");
  if (body !== '') lines.push("-H 'Content-Type: application/json'", `-d '${JSON.stringify(JSON.parse(body))}'`);
  else if (media !== undefined) lines.push(`-H 'Content-Type: ${media}'`, '--data-binary @FILE');
  return lines.join(' \\\n  ');
}
