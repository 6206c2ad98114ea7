// publish_many: numbered messages, as many under way as credit allows.
import { randomFillSync } from 'node:crypto'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { nanoseconds } from './stats.mjs'

export class Publisher {
  constructor (publish) {
    this.publish = publish
    this.credited = 0
    this.stopped = false
    this.running = false
  }

  credit (received) {
    this.credited = Math.max(this.credited, received)
    this.wake?.()
  }

  stop () {
    this.stopped = true
    this.wake?.()
  }

  async run ({ topic, count, size, window, rate, first_seq: first = 0, timeout_ms: timeout = 60000 }) {
    if (this.running) throw new Error('another publish_many is running')
    if (!(size >= 16)) throw new Error('size: must be at least 16')
    if (!(count >= 0)) throw new Error('count: missing')
    Object.assign(this, { running: true, stopped: false, credited: 0 })
    const began = process.hrtime.bigint()
    const deadline = Date.now() + timeout
    let [sent, failed] = [0, 0]
    try {
      while (sent + failed < count && !this.stopped && Date.now() < deadline) {
        const number = sent + failed
        if (window != null && number - this.credited >= window) {
          await this.waitForCredit(deadline)
          continue
        }
        if (rate != null) await this.due(began, number / rate)
        else if (number % 8 === 0) await setImmediate() // commands are to be heard
        try {
          await this.publish(topic, payload(first + number, size))
          sent++
        } catch {
          failed++
        }
      }
    } finally {
      this.running = false
    }
    const aborted = sent + failed < count
    return { sent, failed, retries: 0, aborted, elapsed_ns: Number(process.hrtime.bigint() - began) }
  }

  async waitForCredit (deadline) {
    let timer
    await new Promise(resolve => {
      this.wake = resolve
      timer = globalThis.setTimeout(resolve, Math.max(deadline - Date.now(), 0))
    })
    clearTimeout(timer)
    this.wake = undefined
  }

  async due (began, seconds) {
    const wait = seconds * 1000 - Number(process.hrtime.bigint() - began) / 1e6
    if (wait > 0) await setTimeout(wait)
  }
}

function payload (number, size) {
  const data = new Uint8Array(size)
  const view = new DataView(data.buffer)
  randomFillSync(data, 16)
  view.setBigUint64(0, BigInt(number))
  view.setBigUint64(8, nanoseconds())
  return data
}
