// Clients that ask and leave before they are answered, as a closed tab and a lost network do.

import http2 from 'node:http2';
import net from 'node:net';

/** Leaves after so many milliseconds, to a fraction of one. */
async function moment(milliseconds) {
  const end = performance.now() + milliseconds;
  while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
}

const ended = (thing) => new Promise((resolve) => thing.on('close', resolve));

/** How a client leaves, by name. Each answers once the server can know of it. */
export const LEAVES = {
  async 'HTTP/1.1, reset'({ port, path, method, headers, payload }, after) {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => {});
    const gone = ended(socket);
    await new Promise((resolve) => socket.on('connect', resolve));
    const head = [`${method} ${path} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`), `Content-Length: ${payload.length}`];
    socket.write(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), payload]));
    await moment(after);
    socket.resetAndDestroy();
    await gone;
  },

  async 'HTTP/2, stream reset'(request, after) {
    const session = await overHttp2(request);
    // It closes by itself where the answer comes first.
    const gone = ended(session.stream);
    await moment(after);
    session.stream.close(http2.constants.NGHTTP2_CANCEL);
    await gone;
    // The connection goes on: the server has heard of the reset when it answers this.
    await new Promise((resolve) => session.ping(() => resolve()));
    session.destroy();
  },

  async 'HTTP/2, connection lost'(request, after) {
    const session = await overHttp2(request);
    const gone = ended(session);
    await moment(after);
    session.wire.resetAndDestroy();
    await gone;
  },
};

/** Cleartext, which the client knows beforehand that the server speaks. */
async function overHttp2({ port, path, method, headers, payload }) {
  const wire = net.connect({ port, host: '127.0.0.1', noDelay: true });
  const session = Object.assign(http2.connect(`http://127.0.0.1:${port}`, { createConnection: () => wire }), { wire });
  session.on('error', () => {});
  await new Promise((resolve) => session.on('remoteSettings', resolve));
  const fields = headers.map(([name, value]) => (name === 'Host' ? [':authority', value] : [name.toLowerCase(), value]));
  session.stream = session.request({ ':method': method, ':path': path, ...Object.fromEntries(fields) });
  session.stream.on('error', () => {});
  // What comes is thrown away; a stream with something unread never closes.
  session.stream.resume();
  session.stream.end(payload);
  return session;
}

/** Sends a request, as `ask` does, and leaves. */
export async function hangUp(leave, { port, path, method = 'POST', headers = [], host = `localhost:${port}`, body }, after) {
  const form = body instanceof URLSearchParams;
  const payload = Buffer.from(body === undefined ? '' : form ? String(body) : JSON.stringify(body));
  const type = form ? 'application/x-www-form-urlencoded' : 'application/json';
  const sent = [['Host', host], ...(body === undefined ? [] : [['Content-Type', type]]), ...headers];
  await LEAVES[leave]({ port, path, method, headers: sent, payload }, after);
}
