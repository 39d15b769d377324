// HTTP for tests: each request on a connection of its own unless an agent is given, header names and paths exactly as given.

import http from 'node:http';
import https from 'node:https';

/**
 * Sends one request. `headers` is a list of [name, value], so that a name can be there twice and keeps its spelling.
 * `body`, if it is no string, goes out as JSON. Answers { status, headers, cookies, text, json }.
 */
export function ask({ port, path, method = 'GET', headers = [], body, tls = false, host = 'localhost', from, agent = false, timeout = 20_000 }) {
  const sent = [['Host', host], ...headers];
  let payload;
  if (body !== undefined) {
    const form = body instanceof URLSearchParams;
    payload = Buffer.from(typeof body === 'string' || form ? String(body) : JSON.stringify(body));
    if (!sent.some(([name]) => name.toLowerCase() === 'content-type')) {
      sent.push(['Content-Type', form ? 'application/x-www-form-urlencoded' : 'application/json']);
    }
    sent.push(['Content-Length', String(payload.length)]);
  }
  const options = {
    host: '127.0.0.1',
    port,
    path,
    method,
    headers: sent,
    agent,
    localAddress: from,
    servername: host,
    rejectUnauthorized: false,
    timeout,
  };
  return new Promise((resolve, reject) => {
    const request = (tls ? https : http).request(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({
          status: response.statusCode,
          headers: response.headers,
          cookies: (response.headers['set-cookie'] ?? []).map((line) => line.split(';')[0]),
          text,
          get json() {
            return JSON.parse(text);
          },
        });
      });
    });
    request.on('error', reject);
    request.on('timeout', () => request.destroy(new Error(`no answer to ${method} ${path} in ${timeout} ms`)));
    request.end(payload);
  });
}
