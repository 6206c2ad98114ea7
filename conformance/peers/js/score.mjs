// Peer scores: the test-peer protocol's parameters in the library's names.
import { WrongFlag } from './options.mjs'

const TOPIC = {
  topicWeight: 1,
  timeInMeshWeight: 0.01,
  timeInMeshQuantumMs: 1000,
  timeInMeshCap: 100,
  firstMessageDeliveriesWeight: 1,
  firstMessageDeliveriesDecay: 0.5,
  firstMessageDeliveriesCap: 100,
  meshMessageDeliveriesWeight: 0,
  meshMessageDeliveriesDecay: 0.5,
  meshMessageDeliveriesCap: 100,
  meshMessageDeliveriesThreshold: 20,
  meshMessageDeliveriesWindowMs: 10,
  meshMessageDeliveriesActivationMs: 5000,
  meshFailurePenaltyWeight: 0,
  meshFailurePenaltyDecay: 0.5,
  invalidMessageDeliveriesWeight: -10,
  invalidMessageDeliveriesDecay: 0.9
}
const TIMES = {
  timeInMeshQuantumMs: 'timeInMeshQuantum',
  meshMessageDeliveriesWindowMs: 'meshMessageDeliveriesWindow',
  meshMessageDeliveriesActivationMs: 'meshMessageDeliveriesActivation',
  ipColocationFactorWeight: 'IPColocationFactorWeight',
  ipColocationFactorThreshold: 'IPColocationFactorThreshold',
  decayIntervalMs: 'decayInterval',
  retainScoreMs: 'retainScore'
}
const WHOLE = {
  topicScoreCap: 0,
  appSpecificWeight: 1,
  ipColocationFactorWeight: 0,
  ipColocationFactorThreshold: 1,
  behaviourPenaltyWeight: -1,
  behaviourPenaltyThreshold: 6,
  behaviourPenaltyDecay: 0.9,
  decayIntervalMs: 1000,
  decayToZero: 0.01,
  retainScoreMs: 10000
}
const THRESHOLDS = { gossip: -10, publish: -50, graylist: -80, acceptPX: 10, opportunisticGraft: 1 }

export class Scoring {
  constructor (given) {
    const { topics = {}, thresholds = {}, appScores = {}, ...rest } = given
    this.appScores = new Map(Object.entries(appScores))
    this.everyTopic = '*' in topics || Object.keys(topics).length === 0 ? topic(topics['*'] ?? {}) : undefined
    const named = Object.entries(topics).filter(([name]) => name !== '*')
    this.params = {
      ...renamed(merged('--score', WHOLE, rest)),
      topics: Object.fromEntries(named.map(([name, values]) => [name, topic(values)])),
      appSpecificScore: peer => this.appScores.get(peer) ?? 0
    }
    const limits = merged('thresholds', THRESHOLDS, thresholds)
    this.thresholds = {
      gossipThreshold: limits.gossip,
      publishThreshold: limits.publish,
      graylistThreshold: limits.graylist,
      acceptPXThreshold: limits.acceptPX,
      opportunisticGraftThreshold: limits.opportunisticGraft
    }
  }

  // The library knows topics by name only: those of `*` are added when they are first used.
  knowTopic (name, pubsub) {
    if (this.everyTopic != null) pubsub.score.params.topics[name] ??= this.everyTopic
  }

  describe (pubsub) {
    const scores = {}
    for (const [peer, stats] of Object.entries(pubsub.score.dumpPeerScoreStats())) {
      pubsub.score.scoreCache.delete(peer) // else up to a heartbeat old
      scores[peer] = {
        score: pubsub.score.score(peer),
        app_specific_score: this.appScores.get(peer) ?? 0,
        ip_colocation_factor: colocation(pubsub, peer, stats),
        behaviour_penalty: stats.behaviourPenalty,
        topics: Object.fromEntries(Object.entries(stats.topics).map(([name, of]) => [name, {
          time_in_mesh_ms: of.inMesh ? of.meshTime : 0,
          first_message_deliveries: of.firstMessageDeliveries,
          mesh_message_deliveries: of.meshMessageDeliveries,
          invalid_message_deliveries: of.invalidMessageDeliveries
        }]))
      }
    }
    return scores
  }
}

function colocation (pubsub, peer, stats) {
  let factor = 0
  for (const ip of stats.knownIPs) {
    const surplus = (pubsub.score.peerIPs.get(ip)?.size ?? 0) - pubsub.score.params.IPColocationFactorThreshold
    if (surplus > 0) factor += surplus * surplus
  }
  return factor
}

function topic (given) {
  return renamed(merged('topics', TOPIC, given))
}

function merged (what, defaults, given) {
  for (const [name, value] of Object.entries(given)) {
    if (!(name in defaults)) throw new WrongFlag(`--score: ${what}: unknown parameter '${name}'`)
    if (typeof value !== 'number') throw new WrongFlag(`--score: ${what}: ${name}: not a number`)
  }
  return { ...defaults, ...given }
}

function renamed (values) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [TIMES[name] ?? name, value]))
}
