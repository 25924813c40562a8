// The TypeScript SDK's client: lists, calls, and is denied. One line of JSON says what it met.
// node sdk_client.mjs URL KEY ERA; ERA is legacy, auto or the modern revision.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [url, key, era] = process.argv.slice(2);
const mode = era === "auto" || era === "legacy" ? era : { pin: era };
const client = new Client(
  { name: "sdk-client", version: "1" },
  { versionNegotiation: { mode } },
);
const headers = { Authorization: `Bearer ${key}` };
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));

const { tools } = await client.listTools();
const said = await client.callTool({ name: "desk__echo", arguments: { text: "grüße" } });
const failed = await client.callTool({ name: "desk__fail", arguments: {} });
const denied = await client
  .callTool({ name: "desk__echo", arguments: { text: "secret" } })
  .catch((error) => ({ code: error.code, message: error.message }));
const version = client.getNegotiatedProtocolVersion();
await client.close();

console.log(JSON.stringify({
  version,
  tools: tools.map((tool) => tool.name),
  said: said.content[0].text,
  failed: [failed.isError, failed.content[0].text],
  denied,
}));
