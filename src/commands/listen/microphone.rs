//! The system's default microphone, through cpal.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{ErrorKind, FromSample, SampleFormat, SizedSample, Stream, SupportedStreamConfig};

use super::input::{Arrival, Input};
use emovox::audio::Channel;
use emovox::plural::counted;

/// Maximum number of callbacks, of about 10 ms each, in the queue, for example while libtorch
/// initialises.
const QUEUE: usize = 1024;

const NONE_FOUND: &str = "no microphone was found; if another program can record, use a pipe: \
    arecord -q -f S16_LE -r 16000 -t wav | emovox listen RUN";

/// Opens the default microphone with its default sample rate, and reads one of its channels or the mix.
pub(super) fn open(channel: Channel) -> Result<Input> {
    let device = cpal::default_host()
        .default_input_device()
        .context(NONE_FOUND)?;
    let config = device.default_input_config().context(NONE_FOUND)?;
    let channels = config.channels();
    if let Channel::Number(number) = channel {
        ensure!(
            number <= channels,
            "the model reads channel {number}, but the microphone has {}",
            counted(channels, "channel")
        );
    }
    let (sender, arrivals) = sync_channel(QUEUE);
    let stream = match config.sample_format() {
        SampleFormat::I16 => record::<i16>(&device, &config, channel, sender),
        SampleFormat::I32 => record::<i32>(&device, &config, channel, sender),
        SampleFormat::U8 => record::<u8>(&device, &config, channel, sender),
        SampleFormat::F32 => record::<f32>(&device, &config, channel, sender),
        other => bail!("the microphone records {other}, which is not supported"),
    }
    .context("cannot open the microphone")?;
    stream.play().context("cannot start the microphone")?;
    Ok(Input {
        sample_rate: config.sample_rate(),
        described: format!(
            "the microphone, {} Hz, {} channels",
            config.sample_rate(),
            config.channels()
        ),
        arrivals,
        // A microphone is always live, so samples are not counted.
        read: Default::default(),
        device: Some(stream),
    })
}

/// Sends one of the channels, or their mean. The callback must never block, because the microphone
/// continues.
fn record<T: SizedSample>(
    device: &cpal::Device,
    config: &SupportedStreamConfig,
    channel: Channel,
    sender: SyncSender<Arrival>,
) -> Result<Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels().max(1));
    let mut lost = 0;
    let broken = sender.clone();
    let on_data = move |data: &[T], _: &cpal::InputCallbackInfo| {
        let frame = |frame: &[T]| {
            let used = match channel {
                Channel::Mix => frame,
                Channel::Number(number) => &frame[usize::from(number) - 1..usize::from(number)],
            };
            let sum: f32 = used.iter().map(|&sample| f32::from_sample_(sample)).sum();
            sum / used.len() as f32
        };
        let samples: Vec<f32> = data.chunks_exact(channels).map(frame).collect();
        if lost > 0 && sender.try_send(Arrival::Lost(lost)).is_ok() {
            lost = 0;
        }
        let count = samples.len() as u64;
        let at = Instant::now();
        if let Err(TrySendError::Full(_)) = sender.try_send(Arrival::Sound { at, samples }) {
            lost += count;
        }
    };
    let on_error = move |error: cpal::Error| {
        // After these errors some audio is missing, but the stream continues.
        let harmless = [
            ErrorKind::Xrun,
            ErrorKind::RealtimeDenied,
            ErrorKind::DeviceChanged,
        ];
        if !harmless.contains(&error.kind()) {
            let _ = broken.try_send(Arrival::Broken(error.to_string()));
        }
    };
    device.build_input_stream((*config).into(), on_data, on_error, None)
}
