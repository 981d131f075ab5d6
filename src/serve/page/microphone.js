// The microphone as 16-bit samples, and a WAV file of them: a format that every server decodes, whatever
// codecs the browser has.

// Calls take(samples) for every piece of sound, and lost() if the microphone ends by itself.
export async function openMicrophone(take, lost) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error('The browser allows the microphone only on https:// pages and on localhost. Open this page there, or choose a file.');
  }
  const stream = await navigator.mediaDevices.getUserMedia({
    // The model is trained on unprocessed recordings.
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  }).catch((error) => { throw new Error(reason(error)); });
  let context;
  const close = () => {
    for (const track of stream.getTracks()) track.stop();
    if (context && context.state !== 'closed') context.close();
  };
  try {
    context = new AudioContext();
    await context.audioWorklet.addModule('serve-recorder.js');
    await context.resume();
    const recorder = new AudioWorkletNode(context, 'recorder', { numberOfOutputs: 0 });
    recorder.port.onmessage = ({ data }) => take(data);
    context.createMediaStreamSource(stream).connect(recorder);
  } catch (error) {
    close();
    throw error;
  }
  stream.getAudioTracks()[0].addEventListener('ended', lost);
  return { rate: context.sampleRate, close };
}

function reason(error) {
  if (error.name === 'NotAllowedError') return 'The browser blocked the microphone. Allow it beside the address of this page, then try again.';
  if (error.name === 'NotFoundError') return 'No microphone was found. Connect one, then try again.';
  return `The microphone cannot be used: ${error.message}`;
}

// Level in decibels of full scale, at least −100.
export function level(samples) {
  const energy = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  return Math.max(-100, 10 * Math.log10(energy / 32768 ** 2));
}

// A WAV file of one channel from pieces of samples.
export function wavFile(pieces, rate, name) {
  const bytes = 2 * pieces.reduce((sum, piece) => sum + piece.length, 0);
  const header = new DataView(new ArrayBuffer(44));
  const text = (at, word) => [...word].forEach((letter, index) => header.setUint8(at + index, letter.charCodeAt(0)));
  text(0, 'RIFF');
  header.setUint32(4, 36 + bytes, true);
  text(8, 'WAVEfmt ');
  header.setUint32(16, 16, true); // length of the format
  header.setUint16(20, 1, true); // integer samples
  header.setUint16(22, 1, true); // channels
  header.setUint32(24, rate, true);
  header.setUint32(28, 2 * rate, true); // bytes a second
  header.setUint16(32, 2, true); // bytes of a frame
  header.setUint16(34, 16, true); // bits of a sample
  text(36, 'data');
  header.setUint32(40, bytes, true);
  return new File([header, ...pieces], name, { type: 'audio/wav' });
}
