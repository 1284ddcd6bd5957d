/** What the compiler must refuse, line by line. */
import { WebSocketReconnectService } from "./index";

const service = new WebSocketReconnectService();
service.on("mesage", () => {});
service.on("gap", ({ data }) => data);
service.on("error", (error) => error.text);
service.connect("ws://x", {});
service.connect("ws://x", { userId: "dr1", subscription: [] });
service.state = "idle";
service.subscribe("patient", {});
service.queueMessage("ping");
service.getMetrics().rtt.first;
service.disconnect("1000");
