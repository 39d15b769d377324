// Programs that a test starts: on free ports, with what they print at hand, and always ended.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';

export const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const handedOut = new Set();

/** A port of 127.0.0.1 that is free, and not handed out before. */
export async function freePort() {
  for (;;) {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    server.close();
    await once(server, 'close');
    if (!handedOut.has(port)) {
      handedOut.add(port);
      return port;
    }
  }
}

/** Asks again until the answer is true, or the time is up. */
export async function until(what, probe, timeout = 60_000) {
  const end = Date.now() + timeout;
  for (;;) {
    if (await probe()) return;
    if (Date.now() > end) throw new Error(`${what}: not in ${timeout} ms`);
    await wait(20);
  }
}

export const listens = (port) =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true) || socket.destroy());
    socket.on('error', () => resolve(false));
  });

/** A running program. */
export class Program {
  constructor(command, args, options = {}) {
    this.output = '';
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    this.ended = new Promise((resolve) => {
      this.child.on('error', (error) => resolve({ error }));
      this.child.on('close', (code, signal) => resolve({ code, signal }));
    });
    this.child.stdout.on('data', (chunk) => (this.output += chunk));
    this.child.stderr.on('data', (chunk) => (this.output += chunk));
  }

  /** Waits until it is ready; fails at once, with what it printed, where it ends before that. */
  async ready(what, probe) {
    let gone;
    this.ended.then((end) => (gone = end));
    await until(what, async () => {
      if (gone) throw new Error(`${what} ended (${JSON.stringify(gone)}): ${this.output}`);
      return probe();
    });
    return this;
  }

  /** Sends a signal, and waits for the end. */
  async stop(signal = 'SIGTERM') {
    this.child.kill(signal);
    return this.ended;
  }
}

/** Runs a program to its end: { code, output }. */
export async function run(command, args, options) {
  const program = new Program(command, args, options);
  const { code, error } = await program.ended;
  if (error) throw error;
  return { code, output: program.output };
}

/** Runs a program that must succeed; answers what it printed. */
export async function must(command, args, options) {
  const { code, output } = await run(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${output}`);
  return output;
}
