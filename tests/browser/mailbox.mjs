// A real SMTP server on loopback that keeps no mail but tells of each, for the tests of sending mail.
//   node mailbox.mjs [--cert FILE --key FILE [--wrap yes]] [--user NAME --password SECRET]
// Prints {"port": …} when it listens; then {"mail": …} per mail and {"refused": …} per mail that it did not take. With a
// certificate it offers STARTTLS and takes no mail without, or with --wrap speaks TLS from the first byte. With a user it
// takes no mail of anybody else. Commands come as lines of standard input: {"fault": "busy" | "unknown" | null} refuses
// recipients for a while, or for good.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import PostalMime from "postal-mime";
import { SMTPServer } from "smtp-server";

const text = { type: "string", default: "" };
const { values } = parseArgs({ options: { cert: text, key: text, wrap: text, user: text, password: text } });
const say = (line) => console.log(JSON.stringify(line));
const encrypted = values.cert !== "";
let fault = null;

createInterface({ input: process.stdin })
  .on("line", (line) => {
    ({ fault } = JSON.parse(line));
    say({ done: fault });
  })
  .on("close", () => process.exit(0));

const refusal = (code, words) => Object.assign(new Error(words), { responseCode: code });

const server = new SMTPServer({
  authOptional: values.user === "",
  disabledCommands: [...(encrypted ? [] : ["STARTTLS"]), ...(values.user === "" ? ["AUTH"] : [])],
  secure: values.wrap === "yes",
  ...(encrypted && { cert: readFileSync(values.cert), key: readFileSync(values.key) }),
  onAuth({ username, password }, session, done) {
    const known = username === values.user && password === values.password;
    done(known ? null : refusal(535, "unknown name or password"), known ? { user: username } : undefined);
  },
  onRcptTo({ address }, session, done) {
    if (fault !== null) say({ refused: fault });
    if (fault === "busy") return done(refusal(451, `try <${address}> again later`));
    if (fault === "unknown") return done(refusal(550, `there is no <${address}> here`));
    return done();
  },
  onMailFrom(address, session, done) {
    done(encrypted && !session.secure ? refusal(530, "use STARTTLS first") : null);
  },
  async onData(stream, session, done) {
    const parts = [];
    for await (const part of stream) parts.push(part);
    const { subject, from, text: plain, html, headers } = await PostalMime.parse(Buffer.concat(parts));
    const to = session.envelope.rcptTo.map(({ address }) => address);
    const automatic = headers.find(({ key }) => key === "auto-submitted")?.value ?? null;
    say({ mail: { to, from: `${from.name} <${from.address}>`, subject, text: plain, html, automatic, secure: session.secure, user: session.user ?? null } });
    done();
  },
});
server.on("error", (error) => say({ error: String(error) }));
server.listen(0, "127.0.0.1", () => say({ port: server.server.address().port }));
