// The command line: what the library has an option for, and what it has not.
import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import { generateKeyPair, generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'

export class WrongFlag extends Error {}

// Parameter of the test-peer protocol → option of @libp2p/gossipsub.
const OPTIONS = {
  D: 'D',
  Dlo: 'Dlo',
  Dhi: 'Dhi',
  Dscore: 'Dscore',
  Dout: 'Dout',
  Dlazy: 'Dlazy',
  gossipFactor: 'gossipFactor',
  historyLength: 'mcacheLength',
  historyGossip: 'mcacheGossip',
  heartbeatMs: 'heartbeatInterval',
  fanoutTTLMs: 'fanoutTTL',
  pruneBackoffMs: 'pruneBackoff',
  unsubscribeBackoffMs: 'unsubcribeBackoff', // the library spells it so
  graftFloodThresholdMs: 'graftFloodThreshold',
  iwantFollowupMs: 'gossipsubIWantFollowupMs',
  seenTTLMs: 'seenTTL',
  prunePeers: 'prunePeers',
  opportunisticGraftTicks: 'opportunisticGraftTicks',
  opportunisticGraftPeers: 'opportunisticGraftPeers',
  idontwantThreshold: 'idontwantMinDataSize',
  floodPublish: 'floodPublish',
  doPX: 'doPX',
  maxMessageSize: 'maxInboundDataLength'
}

// Constants in the library, or matters that it does not know.
const UNSUPPORTED = new Set([
  'gossipRetransmission', 'heartbeatInitialDelayMs', 'maxIHaveLength', 'maxIHaveMessages',
  'outboundQueue', 'validateQueue', 'validateThrottle', 'validateWorkers', 'subBuffer',
  'validate', 'metrics'
])

export async function parseOptions (words) {
  let values
  try {
    values = parseArgs({
      args: words,
      options: {
        listen: { type: 'string', default: '/ip4/127.0.0.1/tcp/0' },
        seed: { type: 'string' },
        protocol: { type: 'string', default: 'gossipsub' },
        params: { type: 'string', default: '{}' },
        score: { type: 'string' },
        msgid: { type: 'string' },
        sign: { type: 'string', default: 'strict' },
        'no-sign': { type: 'boolean', default: false },
        quiet: { type: 'boolean', default: false }
      }
    }).values
  } catch (error) {
    throw new WrongFlag(error.message)
  }
  const sign = values['no-sign'] ? 'none' : values.sign
  if (sign !== 'strict' && sign !== 'none') {
    throw new WrongFlag(`--sign ${sign}: unsupported: this library has strict and none`)
  }
  if (values.protocol !== 'gossipsub') {
    throw new WrongFlag(`--protocol ${values.protocol}: unsupported: this library has gossipsub`)
  }
  const params = readJson('--params', values.params)
  const unsupported = []
  const gossipsub = {
    globalSignaturePolicy: sign === 'strict' ? 'StrictSign' : 'StrictNoSign',
    allowPublishToZeroTopicPeers: true // as go does; the library's default is an error
  }
  for (const [name, value] of Object.entries(params)) {
    if (!isOfItsKind(name, value)) throw new WrongFlag(`--params: ${name}: not of its kind: ${JSON.stringify(value)}`)
    if (name === 'protocols') gossipsub.protocols = value
    else if (name === 'direct') gossipsub.directPeers = value.map(directPeer)
    else if (name in OPTIONS) gossipsub[OPTIONS[name]] = value
    else if (UNSUPPORTED.has(name)) unsupported.push(name)
    else throw new WrongFlag(`--params: unknown parameter '${name}'`)
  }
  const { Dlo = 4, D = 6, Dhi = 12 } = params
  if (!(Dlo <= D && D <= Dhi)) throw new WrongFlag('--params: need Dlo <= D <= Dhi')
  if (gossipsub.protocols?.includes('/floodsub/1.0.0') === false) gossipsub.fallbackToFloodsub = false
  const msgIdFn = messageId(values.msgid ?? (sign === 'none' ? 'content' : 'default'), sign)
  if (msgIdFn != null) gossipsub.msgIdFn = msgIdFn
  return {
    listen: listenAddress(values.listen),
    quiet: values.quiet,
    privateKey: await privateKey(values.seed),
    score: values.score == null ? undefined : readJson('--score', values.score),
    gossipsub,
    unsupported
  }
}

const FLAGS = ['floodPublish', 'doPX', 'validate', 'metrics']
const LISTS = ['protocols', 'direct']

function isOfItsKind (name, value) {
  if (LISTS.includes(name)) return Array.isArray(value) && value.every(each => typeof each === 'string')
  if (FLAGS.includes(name)) return [true, false, 0, 1].includes(value)
  return typeof value === 'number' && value >= 0
}

function readJson (flag, text) {
  let value
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new WrongFlag(`${flag}: ${error.message}`)
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new WrongFlag(`${flag}: not an object`)
  return value
}

function listenAddress (text) {
  try {
    multiaddr(text)
  } catch (error) {
    throw new WrongFlag(`--listen: ${error.message}`)
  }
  return text
}

async function privateKey (seed) {
  if (seed == null) return generateKeyPair('Ed25519')
  if (!/^\d+$/.test(seed) || BigInt(seed) >= 2n ** 64n) throw new WrongFlag(`--seed: not a number: ${seed}`)
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(seed), true)
  return generateKeyPairFromSeed('Ed25519', bytes)
}

function directPeer (address) {
  return { id: peerIdFromString(address.split('/p2p/').at(-1)), addrs: [multiaddr(address)] }
}

function messageId (kind, sign) {
  switch (kind) {
    case 'library':
      return undefined
    case 'content':
      return message => createHash('sha256').update(message.data).digest()
    case 'default':
      if (sign === 'none') throw new WrongFlag('--msgid default: messages have no author')
      return message => {
        const id = message.from.toMultihash().bytes
        const bytes = new Uint8Array(id.length + 8)
        bytes.set(id)
        new DataView(bytes.buffer).setBigUint64(id.length, message.sequenceNumber)
        return bytes
      }
    default:
      throw new WrongFlag(`--msgid ${kind}`)
  }
}
