//! Encoder delay and padding: samples that an encoder adds at both ends of a recording.
//!
//! symphonia reads them from MP3, FLAC, WAV, AIFF and Ogg Vorbis files. This module reads them from
//! the edit lists of MP4, from Matroska and from Ogg Opus. All values are read from the file as
//! hints: a damaged one is ignored, and none can make a recording longer.

use std::io;

use super::magic::Container;
use super::source::Section;

/// Largest size of the `moov` atom that is read, in bytes: an MP4 file of many hours.
const MAX_MOOV: u64 = 1 << 26;
/// Largest number of atoms or elements that are visited.
const MAX_ELEMENTS: usize = 1 << 20;

/// Seconds to leave out, or exact numbers of samples if the file has them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Trim {
    /// Delay at the start.
    pub start: Span,
    /// Duration after the delay, if it is known.
    pub length: Option<Span>,
    /// Padding at the end.
    pub end: Span,
}

/// A duration as a fraction: `ticks / per_second` seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    ticks: u64,
    per_second: u64,
}

impl Default for Span {
    fn default() -> Span {
        Span::new(0, 1)
    }
}

impl Span {
    pub(super) fn new(ticks: u64, per_second: u64) -> Span {
        Span {
            ticks,
            per_second: per_second.max(1),
        }
    }

    /// The number of samples at a sample rate, rounded.
    pub(super) fn samples(self, rate: u32) -> u64 {
        let exact = u128::from(self.ticks) * u128::from(rate);
        let per_second = u128::from(self.per_second);
        u64::try_from((exact + per_second / 2) / per_second).unwrap_or(u64::MAX)
    }
}

/// The edit list of the first audio track of an MP4 file, or the comment that iTunes writes.
pub(super) fn of_mp4(file: &mut Section) -> io::Result<Trim> {
    let mut position = 0;
    for _ in 0..MAX_ELEMENTS {
        let header = file.peek(position, 16)?;
        let Some((name, content, length)) = atom(&header) else {
            break;
        };
        let length = length.unwrap_or(file.len().saturating_sub(position));
        if name == *b"moov" {
            let size = length.saturating_sub(content as u64).min(MAX_MOOV);
            let moov = file.peek(position + content as u64, size as usize)?;
            return Ok(trim_of_moov(&moov));
        }
        position = match position.checked_add(length.max(8)) {
            Some(next) if next < file.len() => next,
            _ => break,
        };
    }
    Ok(Trim::default())
}

/// Name, length of the header and total length of the atom that starts here. The length is `None`
/// if the atom ends with the file.
fn atom(bytes: &[u8]) -> Option<([u8; 4], usize, Option<u64>)> {
    let name = bytes.get(4..8)?.try_into().ok()?;
    match be(bytes, 0, 4)? {
        0 => Some((name, 8, None)),
        1 => Some((name, 16, Some(be(bytes, 8, 8)?))),
        length => Some((name, 8, Some(length))),
    }
}

/// A big-endian number of `width` bytes.
fn be(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let digits = bytes.get(at..at.checked_add(width)?)?;
    Some(
        digits
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte)),
    )
}

/// The content of each atom with this name.
fn children<'a>(bytes: &'a [u8], wanted: &'a [u8; 4]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            let (name, content, length) = atom(rest)?;
            let length = length.map_or(rest.len(), |length| {
                usize::try_from(length).unwrap_or(usize::MAX)
            });
            let (this, after) = rest.split_at(length.clamp(8, rest.len()));
            rest = after;
            if name == *wanted {
                return Some(this.get(content..).unwrap_or_default());
            }
        }
    })
}

fn child<'a>(bytes: &'a [u8], path: &[&'a [u8; 4]]) -> Option<&'a [u8]> {
    path.iter()
        .try_fold(bytes, |bytes, name| children(bytes, name).next())
}

fn trim_of_moov(moov: &[u8]) -> Trim {
    let is_sound = |track: &&[u8]| {
        let handler = child(track, &[b"mdia", b"hdlr"]);
        handler.and_then(|handler| handler.get(8..12)) == Some(b"soun")
    };
    let edits = children(moov, b"trak")
        .find(is_sound)
        .and_then(|track| trim_of_track(moov, track));
    let trim = match edits {
        Some(edits) if edits.start.ticks > 0 => Some(edits),
        edits => trim_of_itunes(moov).or(edits),
    };
    trim.unwrap_or_default()
}

fn trim_of_track(moov: &[u8], track: &[u8]) -> Option<Trim> {
    // The place of the time scale depends on the version: with 1, the times before it have 64 bits.
    let scale = |header: &[u8]| match header.first()? {
        1 => be(header, 20, 4),
        _ => be(header, 12, 4),
    };
    let movie = scale(child(moov, &[b"mvhd"])?)?;
    let media = scale(child(track, &[b"mdia", b"mdhd"])?)?;
    // Number of samples and ticks of a sample.
    let times = child(track, &[b"mdia", b"minf", b"stbl", b"stts"])?;
    let runs = be(times, 4, 4)?.min(MAX_ELEMENTS as u64) as usize;
    let ticks =
        (0..runs).map_while(|run| Some(be(times, 8 + 8 * run, 4)? * be(times, 12 + 8 * run, 4)?));
    let whole = ticks.fold(0, u64::saturating_add);

    let unedited = Trim {
        // The times of a fragmented file are in its fragments.
        length: (whole > 0).then(|| Span::new(whole, media)),
        ..Trim::default()
    };
    let Some(edits) = child(track, &[b"edts", b"elst"]) else {
        return Some(unedited);
    };
    let wide = if edits.first() == Some(&1) { 8 } else { 4 };
    let width = 2 * wide + 4;
    let count = be(edits, 4, 4)?.min(1000) as usize;
    for edit in 0..count {
        let at = 8 + edit * width;
        let (duration, start) = (be(edits, at, wide)?, be(edits, at + wide, wide)?);
        // An edit that starts at −1 is a pause before the track.
        if start >> (8 * wide - 1) != 0 {
            continue;
        }
        let rest = Span::new(whole.saturating_sub(start), media);
        let shown = Span::new(duration, movie);
        // The duration is rounded to the time scale of the movie, so it counts only if it is really
        // shorter than the rest of the track.
        let cut = shown.ticks > 0
            && u128::from(shown.ticks + 1) * u128::from(rest.per_second)
                < u128::from(rest.ticks) * u128::from(shown.per_second);
        let length = if cut {
            Some(shown)
        } else {
            unedited.length.map(|_| rest)
        };
        return Some(Trim {
            start: Span::new(start, media),
            length,
            end: Span::default(),
        });
    }
    Some(unedited)
}

/// The comment `iTunSMPB`: hexadecimal numbers, the second of which is the delay in samples, the
/// third the padding and the fourth the length.
fn trim_of_itunes(moov: &[u8]) -> Option<Trim> {
    const NAME: &[u8] = b"iTunSMPB";
    let name = moov.windows(NAME.len()).position(|bytes| bytes == NAME)?;
    let scale = children(moov, b"trak").find_map(|track| {
        let header = child(track, &[b"mdia", b"mdhd"])?;
        (header.first() == Some(&0)).then(|| be(header, 12, 4))?
    })?;
    let text = moov.get(name + NAME.len()..)?;
    let text = String::from_utf8_lossy(text.get(..200).unwrap_or(text));
    let first = text.find(" 00000000 ")?;
    let mut numbers = text[first..].split_ascii_whitespace();
    let mut number = || u64::from_str_radix(numbers.next()?, 16).ok();
    let (_, delay, _, length) = (number()?, number()?, number()?, number()?);
    Some(Trim {
        start: Span::new(delay, scale),
        length: Some(Span::new(length, scale)),
        end: Span::default(),
    })
}

/// `CodecDelay` and `DiscardPadding` of the tracks of a Matroska file, with the track numbers.
pub(super) fn of_matroska(file: &mut Section) -> io::Result<Vec<(u64, Trim)>> {
    let mut scan = MatroskaScan::default();
    let mut position = 0;
    for _ in 0..MAX_ELEMENTS {
        let header = file.peek(position, 12)?;
        let Some((id, content, length)) = element(&header) else {
            break;
        };
        let content = position + content as u64;
        position = match length {
            _ if scan.enter(id) => content,
            Some(length) => {
                if scan.wants(id) {
                    scan.value(id, &file.peek(content, length.min(12) as usize)?);
                }
                match content.checked_add(length) {
                    Some(next) if next <= file.len() => next,
                    _ => break,
                }
            }
            None => break,
        };
    }
    Ok(scan.tracks)
}

/// State of the search through a Matroska file.
#[derive(Default)]
struct MatroskaScan {
    tracks: Vec<(u64, Trim)>,
    /// Number of the track of the last block.
    block: u64,
}

const NANOSECONDS: u64 = 1_000_000_000;
const SEGMENT: u64 = 0x1853_8067;
const TRACKS: u64 = 0x1654_AE6B;
const TRACK_ENTRY: u64 = 0xAE;
const TRACK_NUMBER: u64 = 0xD7;
const CODEC_DELAY: u64 = 0x56AA;
const CLUSTER: u64 = 0x1F43_B675;
const BLOCK_GROUP: u64 = 0xA0;
const BLOCK: u64 = 0xA1;
const SIMPLE_BLOCK: u64 = 0xA3;
const DISCARD_PADDING: u64 = 0x75A2;

impl MatroskaScan {
    /// True for an element whose children are visited.
    fn enter(&self, id: u64) -> bool {
        matches!(id, SEGMENT | TRACKS | TRACK_ENTRY | CLUSTER | BLOCK_GROUP)
    }

    fn wants(&self, id: u64) -> bool {
        matches!(
            id,
            TRACK_NUMBER | CODEC_DELAY | BLOCK | SIMPLE_BLOCK | DISCARD_PADDING
        )
    }

    /// Takes the value of an element, or its start.
    fn value(&mut self, id: u64, bytes: &[u8]) {
        let number = be(bytes, 0, bytes.len().min(8)).unwrap_or(0);
        match id {
            TRACK_NUMBER => self.tracks.push((number, Trim::default())),
            // The number of a track comes before its delay.
            CODEC_DELAY => {
                if let Some((_, trim)) = self.tracks.last_mut() {
                    trim.start = Span::new(number, NANOSECONDS);
                }
            }
            BLOCK | SIMPLE_BLOCK => {
                self.block = vint(bytes).map_or(0, |(track, _)| track);
                // Only the padding of the last block of a track is at the end.
                self.set_padding(0);
            }
            DISCARD_PADDING => {
                let is_negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
                self.set_padding(if is_negative { 0 } else { number });
            }
            _ => {}
        }
    }

    fn set_padding(&mut self, nanoseconds: u64) {
        let block = self.block;
        for (_, trim) in self.tracks.iter_mut().filter(|(track, _)| *track == block) {
            trim.end = Span::new(nanoseconds, NANOSECONDS);
        }
    }
}

/// ID, length of the header and length of the content of an element; the length of the content is
/// `None` if its writer did not know it.
fn element(bytes: &[u8]) -> Option<(u64, usize, Option<u64>)> {
    let id_width = bytes.first()?.leading_zeros() as usize + 1;
    if id_width > 4 {
        return None;
    }
    let id = be(bytes, 0, id_width)?;
    let (length, width) = vint(bytes.get(id_width..)?)?;
    let unknown = (1 << (7 * width)) - 1;
    Some((id, id_width + width, (length != unknown).then_some(length)))
}

/// A number with its own length in the first byte, and that length.
fn vint(bytes: &[u8]) -> Option<(u64, usize)> {
    let width = bytes.first()?.leading_zeros() as usize + 1;
    if width > 8 {
        return None;
    }
    let number = be(bytes, 0, width)?;
    Some((number & ((1 << (7 * width)) - 1), width))
}

/// True for an AIFF or Matroska file that ends before its last element does.
pub(super) fn is_truncated(container: Container, file: &mut Section) -> io::Result<bool> {
    let whole = file.len();
    let ends_behind = |length: u64| length > whole;
    match container {
        Container::Aiff => {
            let header = file.peek(0, 8)?;
            Ok(be(&header, 4, 4).is_some_and(|length| ends_behind(length + 8)))
        }
        Container::Matroska => {
            let mut position = 0;
            // The EBML header and the segment.
            for _ in 0..2 {
                match element(&file.peek(position, 12)?) {
                    Some((_, content, Some(length))) => {
                        position = (position + content as u64).saturating_add(length);
                    }
                    _ => break,
                }
            }
            Ok(ends_behind(position))
        }
        _ => Ok(false),
    }
}

/// Length of an Ogg Opus stream with its pre-skip, in samples: the granule position of the last
/// page of the first stream.
pub(super) fn end_of_ogg(file: &mut Section) -> io::Result<Option<u64>> {
    /// A page has at most 65 307 bytes.
    const TAIL: u64 = 2 * 65_307;
    let first = file.peek(0, 18)?;
    let tail = file.peek(file.len().saturating_sub(TAIL), TAIL as usize)?;
    let serial = first.get(14..18);
    let last = (0..tail.len().saturating_sub(26))
        .rev()
        .filter(|&at| tail[at..].starts_with(b"OggS"))
        .find(|&at| tail.get(at + 14..at + 18) == serial);
    let granule = last.and_then(|at| tail.get(at + 6..at + 14)?.try_into().ok());
    Ok(granule
        .map(u64::from_le_bytes)
        .filter(|&granule| granule != u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn section(bytes: Vec<u8>) -> Section<'static> {
        Section::whole(Cursor::new(bytes)).unwrap()
    }

    fn made(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u32 + 8).to_be_bytes();
        [&length, &name[..], content].concat()
    }

    /// A file with a track of `samples` samples at 44 100 Hz, whose edit list starts with these
    /// durations (in milliseconds) and starts.
    fn mp4(samples: u32, edits: &[(u32, i32)]) -> Vec<u8> {
        let be = |numbers: &[u32]| -> Vec<u8> {
            numbers
                .iter()
                .flat_map(|number| number.to_be_bytes())
                .collect()
        };
        let handler = [&[0; 8], &b"soun"[..]].concat();
        let times = made(b"stts", &be(&[0, 1, 1, samples]));
        let media = [
            made(b"mdhd", &be(&[0, 0, 0, 44_100, samples])),
            made(b"hdlr", &handler),
            made(b"minf", &made(b"stbl", &times)),
        ];
        let mut list = be(&[0, edits.len() as u32]);
        for &(duration, start) in edits {
            list.extend(be(&[duration, start as u32, 0x10000]));
        }
        let track = [
            made(b"edts", &made(b"elst", &list)),
            made(b"mdia", &media.concat()),
        ];
        let moov = [
            made(b"mvhd", &be(&[0, 0, 0, 1000, 0])),
            made(b"trak", &track.concat()),
        ];
        [made(b"ftyp", b"M4A "), made(b"moov", &moov.concat())].concat()
    }

    fn trimmed(edits: &[(u32, i32)]) -> (u64, Option<u64>) {
        let trim = of_mp4(&mut section(mp4(45_124, edits))).unwrap();
        let samples = |span: Span| span.samples(44_100);
        (samples(trim.start), trim.length.map(samples))
    }

    #[test]
    fn an_edit_list_gives_delay_and_length() {
        assert_eq!(trimmed(&[(1000, 1024)]), (1024, Some(44_100)));
        // A pause before the track, and a duration rounded to milliseconds.
        assert_eq!(trimmed(&[(20, -1), (999, 1024)]), (1024, Some(44_100)));
        // Only the first half second is shown.
        assert_eq!(trimmed(&[(500, 0)]), (0, Some(22_050)));
        assert_eq!(trimmed(&[]), (0, Some(45_124)));
    }

    #[test]
    fn the_comment_of_itunes_counts_without_a_delay_in_the_edit_list() {
        let mut file = mp4(45_124, &[(0, 0)]);
        let comment = b"----iTunSMPB\0\0\0\0 00000000 00000840 000001CA 000000000000A000 0";
        // The first atom has 12 bytes.
        let moov = 12;
        let length = u32::from_be_bytes(file[moov..moov + 4].try_into().unwrap());
        file[moov..moov + 4].copy_from_slice(&(length + comment.len() as u32).to_be_bytes());
        file.extend(comment);
        let trim = of_mp4(&mut section(file)).unwrap();
        assert_eq!(trim.start.samples(44_100), 2112);
        assert_eq!(trim.length.map(|span| span.samples(44_100)), Some(40_960));
    }

    #[test]
    fn damaged_files_give_no_trim_or_some_and_no_panic() {
        let whole = mp4(45_124, &[(1000, 1024)]);
        for length in 0..whole.len() {
            let _ = of_mp4(&mut section(whole[..length].to_vec())).unwrap();
            let mut bytes = whole.clone();
            bytes[length] ^= 0xFF;
            let _ = of_mp4(&mut section(bytes.clone())).unwrap();
            let _ = of_matroska(&mut section(bytes.clone())).unwrap();
            let _ = end_of_ogg(&mut section(bytes)).unwrap();
        }
    }
}
