// Counts of what passed. rpc_dropped, undelivered and throttled are always 0: the library keeps its
// outbound buffers to itself, and drops no message between them and the application.
// Unix time by one clock for senders and receivers, finer than Date has it.
export function nanoseconds () {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n
}

export class Stats {
  constructor () {
    this.reset()
  }

  reset () {
    Object.assign(this, {
      received: 0, bytes: 0, first: 0n, last: 0n, backwards: 0, duplicates: 0, rejected: 0,
      rejections: {}, rpcIn: 0, rpcOut: 0, latencies: [], newest: new Map(), cpu: process.cpuUsage()
    })
  }

  // Counts what the library does inside, beside what it tells.
  watch (pubsub) {
    const before = (object, name, count) => {
      const original = object[name].bind(object)
      object[name] = (...values) => {
        count(...values)
        return original(...values)
      }
    }
    before(pubsub, 'handleReceivedRpc', () => { this.rpcIn++ })
    before(pubsub, 'sendRpc', () => { this.rpcOut++ })
    before(pubsub.score, 'duplicateMessage', () => { this.duplicates++ })
    before(pubsub.score, 'rejectMessage', (peer, id, topic, reason) => {
      this.rejected++
      this.rejections[reason] = (this.rejections[reason] ?? 0) + 1
    })
  }

  note (author, data) {
    const now = nanoseconds()
    this.received++
    this.bytes += data.length
    if (this.first === 0n) this.first = now
    this.last = now
    if (data.length < 16) return
    const view = new DataView(data.buffer, data.byteOffset, 16)
    const number = view.getBigUint64(0)
    const latency = Number(now - view.getBigUint64(8)) / 1000
    if (Math.abs(latency) > 3600e6) return // not one of publish_many
    if (number <= (this.newest.get(author) ?? -1n)) this.backwards++
    else this.newest.set(author, number)
    if (this.latencies.length < 1000000) this.latencies.push(Math.max(latency, 0))
  }

  describe () {
    const { user, system } = process.cpuUsage()
    const since = process.cpuUsage(this.cpu)
    const usage = process.resourceUsage()
    return {
      received: this.received,
      bytes: this.bytes,
      first_ns: Number(this.first),
      last_ns: Number(this.last),
      backwards: this.backwards,
      duplicates: this.duplicates,
      rejected: this.rejected,
      rejections: this.rejections,
      rpc_in: this.rpcIn,
      rpc_out: this.rpcOut,
      rpc_dropped: 0,
      undelivered: 0,
      throttled: 0,
      cpu_user_s: user / 1e6,
      cpu_sys_s: system / 1e6,
      cpu_s: (user + system) / 1e6,
      cpu_since_reset_s: (since.user + since.system) / 1e6,
      rss_bytes: process.memoryUsage.rss(),
      max_rss_bytes: usage.maxRSS * 1024,
      latency_us: percentiles(this.latencies)
    }
  }
}

function percentiles (values) {
  const sorted = Float64Array.from(values).sort()
  const at = share => sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
  return { count: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) }
}
