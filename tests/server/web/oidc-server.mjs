// A real OpenID provider (npm's oidc-provider) for tests: its configuration comes as JSON on standard input.
import { createRequire } from "node:module";
import https from "node:https";

const read = async () => {
  const parts = [];
  for await (const part of process.stdin) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString());
};

const { modules, key, cert, port, jwks, client, claims } = await read();
const require = createRequire(modules);
const { default: Provider } = await import(require.resolve("oidc-provider"));

const provider = new Provider(`https://localhost:${port}`, {
  clients: [client],
  jwks,
  claims: { openid: ["sub", "lab", "roles"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  cookies: { keys: ["for a test alone"] },
  findAccount: async (_, id) => ({ accountId: id, claims: async () => ({ sub: id, ...claims }) }),
});

https.createServer({ key, cert }, provider.callback()).listen(port, "127.0.0.1", () => console.log("ready"));
