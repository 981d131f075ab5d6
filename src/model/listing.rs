//! The list of tensors in an `.ot` file (`data.pkl`), read without libtorch.
//!
//! It is written in Python's pickle format, a small programming language. libtorch always writes the
//! same few sentences of it, and only those are understood here. libtorch's own reader believes
//! every length and every size in it and runs code that comes with it: a made-up file can keep it
//! busy for ever, make it reserve gigabytes or crash.

use anyhow::{Context, Result};

/// What the list says of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed<'a> {
    /// What it was saved as.
    pub name: &'a str,
    /// Where its numbers are.
    pub storage: Storage<'a>,
    /// The first of them that is its own.
    pub offset: usize,
    /// Its size in every dimension; its numbers lie one behind the other, the last index first.
    pub shape: Vec<i64>,
}

/// A part of the archive that holds numbers, of several tensors perhaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Storage<'a> {
    /// Their type as PyTorch calls it: `FloatStorage`.
    pub kind: &'a str,
    /// The part is `data/KEY`.
    pub key: &'a str,
}

/// Reads the list.
pub(super) fn read(list: &[u8]) -> Result<Vec<Listed<'_>>> {
    let mut reader = Reader {
        rest: list,
        memory: Vec::new(),
    };
    reader
        .tensors()
        .context("its list of tensors is none that libtorch writes")
}

/// What was said once and can be said again by its number.
enum Said<'a> {
    Text(&'a str),
    Global(&'a str, &'a str),
    Storage(Storage<'a>),
    Other,
}

struct Reader<'a> {
    rest: &'a [u8],
    memory: Vec<Said<'a>>,
}

/// Each of these reads what it is named after, or gives `None` where something else stands.
impl<'a> Reader<'a> {
    /// The list as a whole: one object whose fields are the tensors.
    fn tensors(&mut self) -> Option<Vec<Listed<'a>>> {
        self.exactly(b"\x80\x02")?;
        self.global("__torch__", "Module")?;
        self.exactly(b")\x81}(")?;
        let mut tensors = Vec::new();
        while !self.rest.starts_with(b"u") {
            tensors.push(self.tensor()?);
        }
        self.exactly(b"ub")?;
        self.remember(Said::Other)?;
        self.exactly(b".")?;
        self.rest.is_empty().then_some(tensors)
    }

    /// A name and the call that builds its tensor.
    fn tensor(&mut self) -> Option<Listed<'a>> {
        let name = self.text()?;
        self.global("torch._utils", "_rebuild_tensor_v2")?;
        self.exactly(b"(")?;
        let storage = self.storage()?;
        let offset = self.integer()?;
        let shape = self.integers()?;
        is_contiguous(&shape, &self.integers()?).then_some(())?;
        let _requires_gradient = self.byte()?;
        self.global("collections", "OrderedDict")?;
        self.exactly(b")RtR")?;
        self.remember(Said::Other)?;
        Some(Listed {
            name,
            storage,
            offset: offset.try_into().ok()?,
            shape,
        })
    }

    fn storage(&mut self) -> Option<Storage<'a>> {
        if let Some(said) = self.recalled() {
            return match said? {
                Said::Storage(storage) => Some(*storage),
                _ => None,
            };
        }
        self.exactly(b"(")?;
        (self.text()? == "storage").then_some(())?;
        let (module, kind) = self.any_global()?;
        (module == "torch").then_some(())?;
        let key = self.text()?;
        let _device = self.text()?;
        let _count = self.integer()?;
        self.exactly(b"tQ")?;
        let storage = Storage { kind, key };
        self.remember(Said::Storage(storage))?;
        Some(storage)
    }

    fn integers(&mut self) -> Option<Vec<i64>> {
        self.exactly(b"(")?;
        let mut integers = Vec::new();
        while !self.rest.starts_with(b"t") {
            integers.push(self.integer()?);
        }
        self.exactly(b"t")?;
        Some(integers)
    }

    /// Never negative: all of them are sizes.
    fn integer(&mut self) -> Option<i64> {
        let length = match self.byte()? {
            b'K' => 1,
            b'M' => 2,
            b'J' => 4,
            0x8a if self.byte()? == 8 => 8,
            _ => return None,
        };
        let bytes = self.take(length)?;
        let number = bytes
            .iter()
            .rev()
            .fold(0, |n, &byte| (n << 8) | u64::from(byte));
        let largest = if length == 4 {
            i32::MAX as u64
        } else {
            i64::MAX as u64
        };
        i64::try_from(number).ok().filter(|_| number <= largest)
    }

    fn text(&mut self) -> Option<&'a str> {
        if let Some(said) = self.recalled() {
            return match said? {
                Said::Text(text) => Some(text),
                _ => None,
            };
        }
        self.exactly(b"X")?;
        let length = self.take(4)?.try_into().ok().map(u32::from_le_bytes)?;
        let text = std::str::from_utf8(self.take(length as usize)?).ok()?;
        self.remember(Said::Text(text))?;
        Some(text)
    }

    fn global(&mut self, module: &str, name: &str) -> Option<()> {
        (self.any_global()? == (module, name)).then_some(())
    }

    fn any_global(&mut self) -> Option<(&'a str, &'a str)> {
        if let Some(said) = self.recalled() {
            return match said? {
                Said::Global(module, name) => Some((module, name)),
                _ => None,
            };
        }
        self.exactly(b"c")?;
        let (module, name) = (self.line()?, self.line()?);
        self.remember(Said::Global(module, name))?;
        Some((module, name))
    }

    /// What was said before, where the list says it again: `Some(None)` where it never was.
    fn recalled(&mut self) -> Option<Option<&Said<'a>>> {
        let index = self.number_behind(b'h', b'j')?;
        Some(self.memory.get(index))
    }

    /// Everything that can be said again is numbered right after it was said.
    fn remember(&mut self, said: Said<'a>) -> Option<()> {
        let index = self.number_behind(b'q', b'r')?;
        (index == self.memory.len()).then(|| self.memory.push(said))
    }

    /// A number of one byte behind `short` or of four behind `long`.
    fn number_behind(&mut self, short: u8, long: u8) -> Option<usize> {
        let (&code, behind) = self.rest.split_first()?;
        let width = match code {
            _ if code == short => 1,
            _ if code == long => 4,
            _ => return None,
        };
        let (number, rest) = behind.split_at_checked(width)?;
        self.rest = rest;
        Some(
            number
                .iter()
                .rev()
                .fold(0, |n, &byte| (n << 8) | usize::from(byte)),
        )
    }

    fn line(&mut self) -> Option<&'a str> {
        let length = self.rest.iter().position(|&byte| byte == b'\n')?;
        let line = std::str::from_utf8(self.take(length)?).ok()?;
        self.exactly(b"\n")?;
        Some(line)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn exactly(&mut self, bytes: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(bytes)?;
        Some(())
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}

fn is_contiguous(shape: &[i64], strides: &[i64]) -> bool {
    let mut expected = Some(1_i64);
    shape.len() == strides.len()
        && shape.iter().zip(strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || Some(stride) == expected;
            expected = expected.and_then(|step| step.checked_mul(size.max(1)));
            fits
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::archive;

    const SMALL: &[u8] = include_bytes!("../../tests/fuzz/seeds/checkpoint/small.ot");

    #[test]
    fn libtorchs_own_list_is_understood() {
        let parts = archive::parts(SMALL).unwrap();
        let listed = read(parts["data.pkl"]).unwrap();
        let weight = listed.iter().find(|listed| listed.name == "output|weight");
        let weight = weight.unwrap();
        assert_eq!((weight.offset, &weight.shape[..]), (0, &[2, 3][..]));
        assert_eq!(weight.storage.kind, "FloatStorage");
        assert_eq!(listed.len(), 5);
    }

    /// The fuzzer's find: libtorch made room for a name as long as the list said, 4 GB.
    #[test]
    fn no_length_is_believed() {
        let parts = archive::parts(SMALL).unwrap();
        let list = parts["data.pkl"];
        for at in 0..list.len() {
            for byte in [0x00, 0x7f, 0xff] {
                let mut list = list.to_vec();
                list[at] = byte;
                if let Ok(listed) = read(&list) {
                    assert_eq!(listed.len(), 5, "byte {at}");
                }
            }
            assert!(read(&list[..at]).is_err(), "{at} bytes");
        }
    }
}
