/** Decodes frames as tests in other languages want it: one in hexadecimal a line, what it says as JSON a line. */

import { createInterface } from "node:readline";

import { EnvelopeError, decodeEnvelope } from "../../wsserver/client/js/envelope.js";
import { hex } from "./frames.js";

const maxSize = Number(process.argv[2]);
// A stack for each refusal would take most of the time.
Error.stackTraceLimit = 0;

const listed = (_, value) => (ArrayBuffer.isView(value) ? [...value] : value);

for await (const line of createInterface({ input: process.stdin })) {
  let said;
  try {
    said = decodeEnvelope(hex(line), { maxSize });
  } catch (error) {
    if (!(error instanceof EnvelopeError)) throw error;
    said = { refused: true };
  }
  console.log(JSON.stringify(said, listed));
}
