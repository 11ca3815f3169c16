// The code that an authenticator app shows now (RFC 6238) for a secret in base32:
//   node totp.mjs --secret BASE32
// Prints {"code": …}.
import { createHmac } from "node:crypto";
import { options, say } from "./lib.mjs";

const { secret } = options({ secret: "" });
const bits = [...secret.replace(/=+$/, "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0"));
const key = Buffer.from(bits.join("").match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
const counter = Buffer.alloc(8);
counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
const mac = createHmac("sha1", key).update(counter).digest();
const number = mac.readUInt32BE(mac.at(-1) & 15) & 0x7fff_ffff;
say({ code: String(number % 1_000_000).padStart(6, "0") });
