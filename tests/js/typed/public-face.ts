/** What users write; it must compile. */
import { ClientError, DEFAULTS, WebSocketReconnectService, type Gap, type Metrics } from "./index";

const service = new WebSocketReconnectService({ maxAttempts: 0, jitterMode: "full", WebSocket });
const off: () => void = service.on("message", async ({ data, seq, receivedAt, replayed }) => {
  const sum: number = seq + receivedAt;
  console.log(data.anything, sum, replayed ? "late" : "live");
});
service.on("gap", (gap: Gap) => gap.count?.toFixed());
service.once("disconnected", ({ code, terminal }) => terminal && code.toFixed());
service.on("error", (error) => error instanceof ClientError && error.retryAfterMs);
const outcome: "sent" | "queued" | "dropped" = service.queueMessage({ type: "ack", message_id: "m" }, { ttl: 5 });
const metrics: Metrics = service.getMetrics();
const socket = await service.connect(async () => new URL("wss://x"), { userId: 1, signal: new AbortController().signal });
socket.onmessage = ({ data }) => console.log(data);
const { subscription_id } = await service.subscribe("patient", 123, { severity: ["high"] });
const asSocket: Pick<WebSocket, "readyState" | "url" | "protocol" | "bufferedAmount" | "extensions" | "CLOSED"> = socket;
console.log(off, outcome, metrics.rtt.p95, subscription_id.length, asSocket, DEFAULTS.maxDelay);
