// oidc-provider as the tests need it: rotating refresh tokens, resource indicators, opaque access
// tokens, one public client. Prints its port. Consents are given out of band at /test/*, everything
// that Wicket asks is the library's own.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const CLIENT = 'wicket';
const counts = { posts: 0, revoked: 0 };

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: CLIENT,
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: ['http://127.0.0.1:1/callback'],
      response_types: ['code'],
      application_type: 'native',
    },
  ],
  scopes: ['openid', 'offline_access', 'read'],
  findAccount: (_ctx, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
  features: {
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: 'read',
        audience: resource,
        accessTokenFormat: 'opaque',
        accessTokenTTL: 3600,
      }),
    },
  },
  interactions: { url: () => '/none' },
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  ttl: { AccessToken: 3600, RefreshToken: 86400, Grant: 86400 },
});
provider.on('grant.revoked', () => { counts.revoked += 1; });
provider.on('server_error', (_ctx, error) => console.error(error));

async function signIn({ member, resource }) {
  const client = await provider.Client.find(CLIENT);
  const grant = new provider.Grant({ accountId: member, clientId: CLIENT });
  grant.addOIDCScope('openid offline_access');
  grant.addResourceScope(resource, 'read');
  const grantId = await grant.save();
  const own = { accountId: member, client, grantId, gty: 'authorization_code', expiresWithSession: false };
  const refresh = new provider.RefreshToken({ ...own, claims: {}, scope: 'openid offline_access read', resource });
  const access = new provider.AccessToken({ ...own, scope: 'read', aud: resource });
  return { access_token: await access.save(), refresh_token: await refresh.save(), scope: 'read', expires_in: 3600 };
}

const issued = new Set();
const barred = new Set(); // access tokens that are over before their time
provider.on('access_token.saved', (token) => issued.add(token.jti));

const control = {
  '/test/sign-in': signIn,
  '/test/owner': async ({ token }) => {
    const found = await provider.AccessToken.find(token);
    const good = found && !found.isExpired && !barred.has(found.jti);
    return { owner: good ? found.accountId : null };
  },
  '/test/expire': async () => { issued.forEach((jti) => barred.add(jti)); return {}; },
  '/test/counts': async () => counts,
};

const handle = provider.callback();
server.on('request', async (request, response) => {
  if (request.method === 'POST' && request.url === '/token') counts.posts += 1;
  const answer = control[request.url];
  if (answer === undefined) { handle(request, response); return; }
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = JSON.stringify(await answer(JSON.parse(Buffer.concat(parts).toString() || '{}')));
  response.writeHead(200, { 'content-type': 'application/json' }).end(body);
});
console.log(server.address().port);
