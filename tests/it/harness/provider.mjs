// An OpenID Connect provider for the tests, made of npm's oidc-provider: `node provider.mjs LIBRARY_FOLDER`.
// Prints its issuer on the first line. The tests steer it by POSTs with JSON to /control/….
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const { Provider } = await import(pathToFileURL(`${process.argv[2]}/node_modules/oidc-provider/lib/index.js`));

// The library warns about the version of Node; the first line of the output is the issuer.
console.warn = console.info = () => {};

const people = {};
let clients = [];
let keys = [];
let jwksRequests = 0;
let backchannel = [];
let provider;
let answer;

function newKey(kind) {
  const { privateKey } = kind === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: kind, use: 'sig' };
}

function rebuild() {
  provider = new Provider(issuer, {
    clients,
    jwks: { keys },
    cookies: { keys: ['for tests only'] },
    pkce: { required: () => true },
    claims: {
      openid: ['sub', 'amr', 'acr'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'], groups: ['groups'],
      auth_time: null, sid: null,
    },
    scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
    features: {
      devInteractions: { enabled: false }, backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true },
    },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'PS256'] },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (ctx, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
    // Everyone has consented to everything.
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope('openid profile email groups');
      await grant.save();
      return grant;
    },
    // The library cuts connections to loopback addresses with a dispatcher of its own.
    fetch: (url, options) => { delete options.dispatcher; return fetch(url, options); },
  });
  for (const event of ['backchannel.success', 'backchannel.error']) {
    provider.on(event, (ctx, ...rest) => backchannel.push({ event, error: rest[0]?.message }));
  }
  provider.on('server_error', (ctx, error) => console.error(error));
  answer = provider.callback();
}

async function read(req) {
  let text = '';
  for await (const chunk of req) text += chunk;
  return text;
}

// The page on which people sign in at the provider: a name is enough.
async function interact(req, res) {
  if (req.method === 'GET') {
    const { prompt } = await provider.interactionDetails(req, res);
    res.setHeader('content-type', 'text/html');
    res.end(`<!doctype html><title>Provider</title><form method="post" action="${req.url}"><h1>${prompt.name}</h1>
      <label>Login <input name="login"></label><button type="submit">Sign in</button></form>`);
    return;
  }
  const form = new URLSearchParams(await read(req));
  if (form.get('error')) {
    await provider.interactionFinished(req, res, { error: form.get('error'), error_description: 'refused by the person' });
    return;
  }
  const login = { accountId: form.get('login'), amr: form.get('amr')?.split(' '), acr: form.get('acr') ?? undefined };
  await provider.interactionFinished(req, res, { login });
}

async function control(req, res) {
  const text = await read(req);
  const input = text ? JSON.parse(text) : {};
  switch (req.url) {
    case '/control/clients': clients = input; rebuild(); break;
    case '/control/people': Object.assign(people, input); break;
    case '/control/rotate': keys = [newKey(input.alg ?? 'RS256')]; rebuild(); break;
    case '/control/state': break;
    default: res.statusCode = 404;
  }
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify({ jwksRequests, backchannel }));
}

const server = createServer((req, res) => {
  if (req.url === '/jwks') jwksRequests += 1;
  const handled = req.url.startsWith('/control/') ? control(req, res)
    : req.url.startsWith('/interaction/') ? interact(req, res) : answer(req, res);
  Promise.resolve(handled).catch((error) => { console.error(error); res.statusCode = 500; res.end(String(error)); });
});
let issuer;
server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  keys = [newKey('RS256')];
  rebuild();
  process.stdout.write(`${issuer}\n`);
});
// It ends with the test that started it.
process.stdin.on('end', () => process.exit(0)).resume();
