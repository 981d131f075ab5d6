// Runs beside the page, in the audio thread: passes the samples of the microphone on as 16-bit integers.
const CHUNK = 2048;

class Recorder extends AudioWorkletProcessor {
  samples = new Int16Array(CHUNK);
  filled = 0;

  process([channels]) {
    const first = channels[0] ?? [];
    for (let index = 0; index < first.length; index += 1) {
      const mean = channels.reduce((sum, channel) => sum + channel[index], 0) / channels.length;
      this.samples[this.filled] = Math.round(32767 * Math.max(-1, Math.min(1, mean)));
      this.filled += 1;
      if (this.filled === CHUNK) {
        this.port.postMessage(this.samples, [this.samples.buffer]);
        this.samples = new Int16Array(CHUNK);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor('recorder', Recorder);
