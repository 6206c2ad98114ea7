// A test peer on js-libp2p: JSON commands on standard input, JSON events on standard output.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { gossipsub } from '@libp2p/gossipsub'
import { identify, identifyPush } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { parseOptions, WrongFlag } from './options.mjs'
import { Publisher } from './publisher.mjs'
import { Scoring } from './score.mjs'
import { Stats } from './stats.mjs'

const require = createRequire(import.meta.url)

// What commands cannot do without.
const TEXTS = {
  connect: ['addr'],
  disconnect: ['peer'],
  subscribe: ['topic'],
  unsubscribe: ['topic'],
  publish: ['topic', 'data_b64'],
  publish_many: ['topic'],
  mesh: ['topic'],
  topic_peers: ['topic'],
  app_score: ['peer'],
  validator: ['topic', 'verdict']
}

function octets (field, text) {
  const data = Buffer.from(text, 'base64')
  if (data.toString('base64') !== text) throw new Error(`${field}: not base64`)
  return data
}

function write (event) {
  process.stdout.write(JSON.stringify(event) + '\n')
}

class Node {
  constructor (libp2p, options, scoring) {
    this.libp2p = libp2p
    this.pubsub = libp2p.services.pubsub
    this.options = options
    this.scoring = scoring
    this.stats = new Stats()
    this.rules = new Map() // topic → rules, newest first
    this.every = 0
    this.publisher = new Publisher((topic, data) => this.publish(topic, data))
    this.stats.watch(this.pubsub)
    this.tell()
  }

  tell () {
    const { libp2p, pubsub } = this
    libp2p.addEventListener('peer:connect', ({ detail }) => write({ event: 'peer_connected', peer: `${detail}` }))
    libp2p.addEventListener('peer:disconnect', ({ detail }) => write({ event: 'peer_disconnected', peer: `${detail}` }))
    pubsub.addEventListener('subscription-change', ({ detail }) => {
      for (const { topic, subscribe } of detail.subscriptions) {
        write({ event: subscribe ? 'topic_peer_join' : 'topic_peer_leave', topic, peer: `${detail.peerId}` })
      }
    })
    pubsub.addEventListener('gossipsub:message', ({ detail }) => {
      const { propagationSource, msg } = detail
      if (propagationSource.equals(libp2p.peerId)) return
      const author = msg.type === 'signed' ? `${msg.from}` : null
      this.stats.note(author, msg.data)
      if (!this.options.quiet) {
        write({
          event: 'message',
          topic: msg.topic,
          from: author,
          received_from: `${propagationSource}`,
          data_b64: Buffer.from(msg.data).toString('base64')
        })
      }
      if (this.every > 0 && this.stats.received % this.every === 0) {
        write({ event: 'progress', received: this.stats.received })
      }
    })
  }

  async publish (topic, data) {
    this.scoring?.knowTopic(topic, this.pubsub)
    await this.pubsub.publish(topic, data)
  }

  validate (topic, { verdict, prefix_b64: text = '', delay_ms: delay = 0 }) {
    if (!['accept', 'reject', 'ignore', 'clear'].includes(verdict)) {
      throw new Error(`verdict: must be accept, reject, ignore or clear: ${verdict}`)
    }
    const prefix = octets('prefix_b64', text)
    const rules = (this.rules.get(topic) ?? []).filter(rule => !rule.prefix.equals(prefix))
    if (verdict !== 'clear') rules.unshift({ verdict, prefix, delay })
    else if (prefix.length === 0) rules.length = 0
    this.rules.set(topic, rules)
    if (rules.length === 0) {
      this.pubsub.topicValidators.delete(topic)
      return
    }
    this.pubsub.topicValidators.set(topic, (peer, message) => {
      const rule = rules.find(({ prefix }) => prefix.equals(message.data.subarray(0, prefix.length)))
      if (rule == null) return 'accept'
      if (rule.delay === 0) return rule.verdict
      return new Promise(resolve => setTimeout(resolve, rule.delay, rule.verdict))
    })
  }

  peers () {
    const { pubsub } = this
    return this.libp2p.getPeers().map(peer => {
      const [connection] = this.libp2p.getConnections(peer)
      return {
        peer: `${peer}`,
        addrs: [`${connection.remoteAddr}`],
        direction: connection.direction === 'inbound' ? 'in' : 'out',
        topics: [...pubsub.topics].filter(([, members]) => members.has(`${peer}`)).map(([topic]) => topic),
        protocol: pubsub.streamsOutbound.get(`${peer}`)?.protocol ?? ''
      }
    })
  }

  commands = {
    connect: async ({ addr }) => {
      const connection = await this.libp2p.dial(multiaddr(addr))
      return { peer: `${connection.remotePeer}` }
    },
    disconnect: async ({ peer }) => { await this.libp2p.hangUp(peerIdFromString(peer)) },
    subscribe: ({ topic }) => {
      this.scoring?.knowTopic(topic, this.pubsub)
      this.pubsub.subscribe(topic)
    },
    unsubscribe: ({ topic }) => {
      if (!this.pubsub.getTopics().includes(topic)) throw new Error(`topic: not subscribed to '${topic}'`)
      this.pubsub.unsubscribe(topic)
    },
    publish: async ({ topic, data_b64: data }) => { await this.publish(topic, octets('data_b64', data)) },
    publish_many: command => this.publisher.run(command),
    publish_stop: () => { this.publisher.stop() },
    progress: ({ every }) => {
      if (!(every >= 0)) throw new Error('every: must not be negative')
      this.every = every
    },
    peers: () => ({ peers: this.peers() }),
    mesh: ({ topic }) => ({ peers: [...this.pubsub.mesh.get(topic) ?? []] }),
    topic_peers: ({ topic }) => ({ peers: this.pubsub.getSubscribers(topic).map(String) }),
    scores: () => {
      if (this.scoring == null) throw new Error('peer scoring is off')
      return { scores: this.scoring.describe(this.pubsub) }
    },
    app_score: ({ peer, score }) => {
      if (this.scoring == null) throw new Error('peer scoring is off')
      this.scoring.appScores.set(peer, score)
      this.pubsub.score.scoreCache.delete(peer)
    },
    validator: ({ topic, ...rule }) => { this.validate(topic, rule) },
    stats: () => this.stats.describe(),
    exit: () => { setImmediate(end, this) }, // behind the answer
    reset_stats: () => {
      const stats = this.stats.describe()
      this.stats.reset()
      return stats
    }
  }

  async obey (line) {
    let command
    try {
      command = JSON.parse(line)
    } catch {
      command = {}
    }
    const about = { cmd: command?.cmd ?? '', ...(command?.id === undefined ? {} : { id: command.id }) }
    if (command?.cmd === 'credit') {
      this.publisher.credit(command.received)
      return
    }
    try {
      const action = Object.hasOwn(this.commands, about.cmd) ? this.commands[about.cmd] : undefined
      if (action == null) throw new Error(about.cmd === '' ? 'not a command' : `unknown command '${about.cmd}'`)
      for (const name of TEXTS[about.cmd] ?? []) {
        if (typeof command[name] !== 'string') throw new Error(`${name}: ${name in command ? 'not text' : 'missing'}`)
      }
      write({ event: 'ok', ...about, ...await action(command) })
    } catch (error) {
      write({ event: 'error', ...about, error: `${error.message ?? error}` })
    }
  }
}

async function start (words) {
  const options = await parseOptions(words)
  const scoring = options.score == null ? undefined : new Scoring(options.score)
  if (scoring != null) {
    options.gossipsub.scoreParams = scoring.params
    options.gossipsub.scoreThresholds = scoring.thresholds
  }
  const libp2p = await createLibp2p({
    privateKey: options.privateKey,
    addresses: { listen: [options.listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // Tests dial faster than strangers should be let in.
    connectionManager: { inboundConnectionThreshold: 10000, maxIncomingPendingConnections: 1000 },
    connectionMonitor: { enabled: false },
    services: { identify: identify(), identifyPush: identifyPush(), ping: ping(), pubsub: checked(gossipsub(options.gossipsub)) }
  })
  const node = new Node(libp2p, options, scoring)
  write({
    event: 'ready',
    peer_id: `${libp2p.peerId}`,
    addrs: libp2p.getMultiaddrs().map(String),
    impl: 'js',
    versions: {
      '@libp2p/gossipsub': version('@libp2p/gossipsub'),
      libp2p: version('libp2p'),
      node: process.versions.node
    },
    pid: process.pid,
    unsupported_params: options.unsupported
  })
  return node
}

// What the library refuses to be made of is parameters that we handed on.
function checked (make) {
  return components => {
    try {
      return make(components)
    } catch (error) {
      throw new WrongFlag(`--params or --score: ${error.message}`)
    }
  }
}

function version (name) {
  return require('./package.json').dependencies[name]
}

async function end (node) {
  setTimeout(() => process.exit(0), 2000).unref()
  await node.libp2p.stop()
  process.exit(0)
}

try {
  const node = await start(process.argv.slice(2))
  const lines = createInterface({ input: process.stdin })
  lines.on('line', line => {
    node.obey(line)
  })
  lines.on('close', () => end(node))
} catch (error) {
  process.stderr.write(`js peer: ${error.message.replaceAll('\n', ' ')}\n`)
  process.exit(error instanceof WrongFlag ? 2 : 1)
}
