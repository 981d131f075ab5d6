// The HTTP interface of the server that sent this page. docs/serve.md describes it.

// The token is only in memory: it is lost when the page is closed.
let token = '';

export function setToken(value) {
  token = value;
}

// An error of the server, or of the way to it. Its message is for people.
export class ServerError extends Error {
  constructor(code, message, retryAfter = 0) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }

  get needsToken() {
    return this.code === 'token-required' || this.code === 'token-wrong';
  }
}

export const getModel = () => send('v1/model');

// Sends a recording without its name, which a proxy could log. Resolves to its predictions with windows, the
// prediction for the whole, and the peaks of the waveform.
export function predict(file, settings, signal) {
  const query = new URLSearchParams({ ...settings, peaks: 800 });
  const headers = { 'content-type': 'application/octet-stream' };
  return send(`v1/predict?${query}`, { method: 'POST', body: file, headers, signal });
}

// A live stream of 16-bit samples.
export function openStream(rate) {
  const url = new URL(`v1/stream?encoding=s16le&rate=${rate}`, location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  const protocols = ['emovox.v1'];
  // A browser cannot set the header of a WebSocket.
  if (token) protocols.push(`emovox.token.${base64url(token)}`);
  const socket = new WebSocket(url, protocols);
  socket.binaryType = 'arraybuffer';
  return socket;
}

const base64url = (text) => btoa(text).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

async function send(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ServerError('unreachable', 'The server does not answer. Check that emovox serve is running, then try again.');
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer) return answer;
  const { code, message } = answer?.error ?? {};
  throw new ServerError(
    code ?? 'unknown',
    message ?? `The server answered with status ${response.status} and no explanation.`,
    Number(response.headers.get('retry-after')),
  );
}
