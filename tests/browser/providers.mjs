// Real sign-in providers on loopback, for the tests of signing in with them.
//   node providers.mjs --kind certified|mock|vk --redirect URL
// Prints {"issuer": …} when it listens; ends with its standard input. Commands come as lines of standard input:
//   mock: {"fault": "nonce"|"audience"|"expired"|"unsigned"|"refuses"|"fails"|null}, {"claims": {…}}
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { kind: { type: "string" }, redirect: { type: "string" } } });
const say = (line) => console.log(JSON.stringify(line));
const listen = (server) =>
  new Promise((done) => server.listen(0, "127.0.0.1", () => done(`http://127.0.0.1:${server.address().port}`)));

/** The certified implementation, as strict as it comes: PKCE required, claims only at the userinfo address. */
async function certified() {
  const { default: Provider } = await import("oidc-provider");
  // The issuer holds the port, which is known only once it listens.
  const server = createServer();
  const issuer = await listen(server);
  const provider = new Provider(issuer, {
    clients: [{ client_id: "millrace", client_secret: "certified-secret", redirect_uris: [values.redirect] }],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "preferred_username"] },
    pkce: { required: () => true, methods: ["S256"] },
    cookies: { keys: ["for tests only"] },
    ttl: { Session: 600, Grant: 600, Interaction: 600, AccessToken: 600, IdToken: 600 },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        email: `${id}@example.org`,
        email_verified: !id.startsWith("unverified"),
        name: `${id} of the provider`,
        preferred_username: id,
      }),
    }),
  });
  server.on("request", provider.callback());
  return issuer;
}

/** One that signs whoever comes in at once, and misbehaves when it is told to. */
async function mock() {
  const { OAuth2Server } = await import("oauth2-mock-server");
  const server = new OAuth2Server();
  await server.issuer.keys.generate("RS256");
  await server.start(0, "127.0.0.1");
  const issuer = `http://127.0.0.1:${server.address().port}`;
  server.issuer.url = issuer;
  let fault = null;
  let claims = { sub: "mock-1", email: "mock@example.org", email_verified: true, preferred_username: "mock" };
  createInterface({ input: process.stdin }).on("line", (line) => {
    const command = JSON.parse(line);
    if ("fault" in command) ({ fault } = command);
    if ("claims" in command) ({ claims } = command);
    say({ done: command });
  });
  server.service.on("beforeTokenSigning", (token) => {
    Object.assign(token.payload, claims);
    if (fault === "nonce") token.payload.nonce = "another";
    if (fault === "audience") token.payload.aud = "somebody-else";
    if (fault === "expired") token.payload.exp = 1_000;
  });
  server.service.on("beforeResponse", (response) => {
    if (fault === "refuses") Object.assign(response, { statusCode: 400, body: { error: "invalid_grant" } });
    if (fault === "fails") Object.assign(response, { statusCode: 500, body: "no" });
    if (fault === "unsigned") response.body.id_token = response.body.id_token.replace(/[^.]*$/, "AAAA");
  });
  server.service.on("beforeUserinfo", (response) => Object.assign(response, { body: claims }));
  return issuer;
}

/** What VK documents of VK ID: the code comes with a device_id that the exchange must bring back. */
async function vk() {
  const { createHash, randomUUID } = await import("node:crypto");
  const codes = new Map();
  const read = async (request) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    return Object.fromEntries(new URLSearchParams(text));
  };
  return listen(
    createServer(async (request, response) => {
      const url = new URL(request.url, "http://127.0.0.1");
      const json = (status, body) =>
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
      if (url.pathname === "/authorize") {
        const query = Object.fromEntries(url.searchParams);
        const [code, device] = [randomUUID(), randomUUID()];
        codes.set(code, { ...query, device });
        const back = new URL(query.redirect_uri);
        for (const [name, value] of Object.entries({ code, state: query.state, device_id: device, type: "code_v2" })) {
          back.searchParams.set(name, value);
        }
        return response.writeHead(302, { location: back.href }).end();
      }
      const form = await read(request);
      if (url.pathname === "/oauth2/auth") {
        const given = codes.get(form.code);
        codes.delete(form.code);
        const challenge = createHash("sha256").update(form.code_verifier ?? "").digest("base64url");
        const good =
          given?.code_challenge === challenge && given.code_challenge_method === "S256" &&
          given.device === form.device_id && given.state === form.state && given.client_id === form.client_id &&
          given.redirect_uri === form.redirect_uri;
        if (!good) return json(400, { error: "invalid_grant", error_description: "code or device_id" });
        return json(200, { access_token: "vk-token", token_type: "Bearer", user_id: 1234, expires_in: 3600, scope: "email" });
      }
      if (url.pathname === "/oauth2/user_info" && form.access_token === "vk-token") {
        return json(200, {
          user: { user_id: "1234", first_name: "Ада", last_name: "Лавлейс", email: "ada.vk@example.org", avatar: "" },
        });
      }
      return json(404, { error: "not_found" });
    }),
  );
}

const kinds = { certified, mock, vk };
say({ issuer: await kinds[values.kind]() });
process.stdin.on("end", () => process.exit(0)).resume();
