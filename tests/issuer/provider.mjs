// A certified OpenID provider (npm `oidc-provider`) for tests: client credentials in, JWT access tokens (RFC 9068) out.
//
//   node provider.mjs PORT CLIENTS
//
// PORT 0 takes a free one. CLIENTS is JSON, or the name of a file of it; without it $CLIENTS is read:
//   [{ "id": "agent-1", "secret": "…", "audience": "chaperone", "ttl": 300, "algorithm": "ES256",
//      "claims": { "groups": ["care-agents"], "model": "scribe", "model_version": "4.2" } }]
// `audience` (default `chaperone`), `ttl` in seconds (300), `algorithm` (`RS256`, `ES256` or `EdDSA`) and `claims` are
// optional. Prints one line, `ready URL`, where URL is the issuer. A token:
//   curl -u agent-1:… -d grant_type=client_credentials URL/token
// Stops on SIGTERM, and when its standard input ends if $EXIT_WITH_STDIN is set, so that no test leaves it behind.
import { generateKeyPairSync, webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

// Debian 12 has Node.js 18, the provider wants what came with later ones.
globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;
URL.parse ??= (url, base) => {
  try {
    return new URL(url, base);
  } catch {
    return null;
  }
};

const [port = '0', given = process.env.CLIENTS ?? '[]'] = process.argv.slice(2);
const clients = JSON.parse(/^\s*\[/.test(given) ? given : readFileSync(given, 'utf8'));
const byId = new Map(clients.map((client) => [client.id, client]));

function key(kid, alg, type, options) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' };
}
const keys = [
  key('rsa-1', 'RS256', 'rsa', { modulusLength: 2048 }),
  key('ec-1', 'ES256', 'ec', { namedCurve: 'P-256' }),
  key('ed-1', 'EdDSA', 'ed25519', {}),
];

const server = createServer();
server.listen(Number(port), '127.0.0.1', () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(url, {
    jwks: { keys },
    scopes: ['db:read', 'db:write'],

    clients: clients.map(({ id, secret }) => ({
      client_id: id,
      client_secret: secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:chaperone:test',
        getResourceServerInfo: (ctx, resource, client) => {
          const { audience = 'chaperone', ttl = 300, algorithm = 'RS256' } = byId.get(client.clientId);
          return {
            scope: 'db:read db:write',
            audience,
            accessTokenTTL: ttl,
            accessTokenFormat: 'jwt',
            jwt: { sign: { alg: algorithm } },
          };
        },
      },
    },
    extraTokenClaims: (ctx, token) => byId.get(token.clientId)?.claims,
  });
  provider.on('server_error', (ctx, error) => console.error(error));
  server.on('request', provider.callback());
  console.log(`ready ${url}`);
});

process.on('SIGTERM', () => process.exit(0));
if (process.env.EXIT_WITH_STDIN) process.stdin.resume().on('end', () => process.exit(0)).on('error', () => process.exit(0));
