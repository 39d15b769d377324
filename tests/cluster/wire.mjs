// A line between two programs that can be cut: nothing passes, and neither side is told, as where a cable is pulled.

import net from 'node:net';

import { freePort } from '../lib/process.mjs';

export class Wire {
  static async lay(to, port) {
    const wire = new Wire();
    Object.assign(wire, { to, port: port ?? (await freePort()), whole: true, ends: new Set() });
    wire.server = net.createServer((near) => wire.join(near));
    await new Promise((resolve) => wire.server.listen(wire.port, '127.0.0.1', resolve));
    return wire;
  }

  join(near) {
    const far = net.connect(this.to, '127.0.0.1');
    for (const [end, other] of [
      [near, far],
      [far, near],
    ]) {
      end.setNoDelay(true);
      end.on('data', (chunk) => other.write(chunk));
      end.on('error', () => other.destroy());
      end.on('close', () => this.ends.delete(end) && this.whole && other.destroy());
      if (!this.whole) end.pause();
      this.ends.add(end);
    }
  }

  cut() {
    this.whole = false;
    for (const end of this.ends) end.pause();
  }

  /** What was under way has been given up by then: those who waited connect anew. */
  mend() {
    this.whole = true;
    for (const end of this.ends) end.destroy();
  }

  async stop() {
    this.mend();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
