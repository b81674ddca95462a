// An OpenID Connect provider for tests: npm's oidc-provider, which the OpenID Foundation has certified. It says on its
// standard output when it is ready.
//
// PROVIDER_MODULES is a node_modules folder with oidc-provider, PROVIDER_PORT a port of loopback, PROVIDER_CLIENTS the
// clients as OpenID Connect Registration writes them, PROVIDER_KEY its key as a JWK, PROVIDER_ACCOUNTS people by their
// names, with their claims, and PROVIDER_CLAIMS_IN is "token" when the ID token is to hold them (else the UserInfo
// endpoint tells them).
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'

const env = process.env
const { default: Provider } = await import(`${env.PROVIDER_MODULES}/oidc-provider/lib/index.js`)
const port = Number(env.PROVIDER_PORT)
const accounts = JSON.parse(env.PROVIDER_ACCOUNTS)

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: JSON.parse(env.PROVIDER_CLIENTS),
  jwks: { keys: [JSON.parse(env.PROVIDER_KEY)] },
  cookies: { keys: [randomBytes(16).toString('hex')] },
  claims: { openid: ['sub'], profile: ['name', 'tenant', 'role', 'client_name'], email: ['email', 'email_verified'] },
  scopes: ['openid', 'profile', 'email', 'events.write'],
  conformIdTokenClaims: env.PROVIDER_CLAIMS_IN !== 'token',
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource(ctx, form) {
        ctx.body = `<!doctype html><title>Sign out</title>${form}
          <button id="sign-out" form="op.logoutForm" name="logout" value="yes">Sign out</button>`
      },
    },
  },
  // Clients are on this machine, which the provider's own dispatcher refuses to call.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => accounts[id] && { accountId: id, claims: () => ({ sub: id, ...accounts[id] }) },
  async loadExistingGrant(ctx) {
    const { client, session } = ctx.oidc
    const grant = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId })
    grant.addOIDCScope('openid email profile')
    await grant.save()
    return grant
  },
})

async function interact(req, res) {
  if (req.method === 'GET') {
    res.setHeader('content-type', 'text/html')
    res.end(`<!doctype html><title>Sign in</title><form method="post">
      <input id="login" name="login" autofocus> <button id="sign-in">Sign in</button>
      <button id="cancel" name="cancel" value="yes">Cancel</button></form>`)
    return
  }
  let body = ''
  for await (const part of req) body += part
  const form = new URLSearchParams(body)
  const refused = form.has('cancel') || !accounts[form.get('login')]
  await provider.interactionFinished(req, res, refused
    ? { error: 'access_denied', error_description: 'the person said no' } : { login: { accountId: form.get('login') } })
}

const serve = provider.callback()
createServer((req, res) => {
  if (!req.url.startsWith('/interaction/')) return serve(req, res)
  return interact(req, res).catch((fault) => {
    res.statusCode = 400
    res.end(String(fault))
  })
}).listen(port, '127.0.0.1', () => console.log('ready'))
