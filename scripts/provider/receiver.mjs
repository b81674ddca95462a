// A receiver of webhooks for tests, none of whose parts is ours: TLS with client certificates is OpenSSL's, v1 of
// Standard Webhooks is verified by npm's standardwebhooks, v1a by OpenSSL's Ed25519, and an access token by the server
// that gave it (RFC 7662). It says on its standard output when it is ready, answers 200 when all is right, and else 400
// with what is wrong.
//
// RECEIVER holds its settings as JSON: {port, key, cert, ca, secret, keys, modules, introspection, client, client_secret}.
import { createPublicKey, verify } from 'node:crypto'
import { createServer } from 'node:https'
import { createRequire } from 'node:module'

const at = JSON.parse(process.env.RECEIVER)
const { Webhook } = createRequire(`${at.modules}/x.js`)('standardwebhooks')
const secret = new Webhook(at.secret)

// The header of an Ed25519 public key in DER form (RFC 8410, 4).
const der = Buffer.from('302a300506032b6570032100', 'hex')
const keys = at.keys.map((text) => {
  const raw = Buffer.from(text.replace(/^whpk_/, ''), 'base64')
  return createPublicKey({ key: Buffer.concat([der, raw]), format: 'der', type: 'spki' })
})

function signedBy(key, q, body) {
  const content = Buffer.concat([Buffer.from(`${q.headers['webhook-id']}.${q.headers['webhook-timestamp']}.`), body])
  return q.headers['webhook-signature'].split(' ').some((one) => {
    const [version, signature] = one.split(',')
    return version === 'v1a' && verify(null, content, key, Buffer.from(signature, 'base64'))
  })
}

async function judged(q) {
  const parts = []
  for await (const part of q) parts.push(part)
  const body = Buffer.concat(parts)
  secret.verify(body.toString(), q.headers)
  keys.forEach((key, n) => {
    if (!signedBy(key, q, body)) throw new Error(`no signature of key ${n}`)
  })
  const [kind, token] = (q.headers.authorization ?? '').split(' ')
  if (kind !== 'Bearer') throw new Error('no token')
  const answer = await fetch(at.introspection, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${at.client}:${at.client_secret}`).toString('base64')}` },
    body: new URLSearchParams({ token }),
  })
  const { active, scope, client_id: client } = await answer.json()
  if (!active) throw new Error('the token is not active')
  return `${q.socket.getPeerCertificate().subject.CN} ${client} ${scope}`
}

createServer({ key: at.key, cert: at.cert, ca: at.ca, requestCert: true, rejectUnauthorized: true }, (q, res) => {
  judged(q).then(
    (said) => {
      console.log(said)
      res.end('ok')
    },
    (fault) => {
      res.statusCode = 400
      res.end(String(fault))
    },
  )
}).listen(at.port, '127.0.0.1', () => console.log('ready'))
