//! The list of tensors in an `.ot` file (`data.pkl`), read without libtorch.
//!
//! The list is in Python's pickle format, a small programming language. libtorch always writes the same
//! few instructions, and this reader accepts only those. libtorch's own reader trusts every length and
//! size in the list and runs code that is in the file: a forged file can keep it busy for ever, or make
//! it allocate gigabytes or crash.

use anyhow::{Context, Result};

/// The description of a tensor in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TensorEntry<'a> {
    /// Name under which the tensor was saved.
    pub name: &'a str,
    /// The archive entry with the values of the tensor.
    pub storage: Storage<'a>,
    /// Index of the tensor's first value in `storage`.
    pub offset: usize,
    /// Size of each dimension. The values are contiguous, with the last index varying fastest.
    pub shape: Vec<i64>,
}

/// An archive entry that contains values of one or more tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Storage<'a> {
    /// PyTorch's name of the type of the values, for example `FloatStorage`.
    pub kind: &'a str,
    /// The entry's name is `data/KEY`.
    pub key: &'a str,
}

/// Reads the list.
///
/// # Errors
/// A list with any instruction that libtorch does not write there.
pub(super) fn read(list: &[u8]) -> Result<Vec<TensorEntry<'_>>> {
    let mut reader = Reader {
        rest: list,
        memory: Vec::new(),
    };
    reader
        .tensors()
        .context("its list of tensors is not in the form that libtorch writes")
}

/// An object in pickle's memo: later instructions refer to it by its number.
enum Memo<'a> {
    Text(&'a str),
    Global(&'a str, &'a str),
    Storage(Storage<'a>),
    Other,
}

struct Reader<'a> {
    rest: &'a [u8],
    memory: Vec<Memo<'a>>,
}

/// Each method reads the item that it is named after, or returns `None` if the list has another item.
impl<'a> Reader<'a> {
    /// The whole list: one object whose fields are the tensors.
    fn tensors(&mut self) -> Option<Vec<TensorEntry<'a>>> {
        self.exactly(b"\x80\x02")?;
        self.global("__torch__", "Module")?;
        self.exactly(b")\x81}(")?;
        let mut tensors = Vec::new();
        while !self.rest.starts_with(b"u") {
            tensors.push(self.tensor()?);
        }
        self.exactly(b"ub")?;
        self.remember(Memo::Other)?;
        self.exactly(b".")?;
        self.rest.is_empty().then_some(tensors)
    }

    /// A name and the call that builds its tensor.
    fn tensor(&mut self) -> Option<TensorEntry<'a>> {
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
        self.remember(Memo::Other)?;
        Some(TensorEntry {
            name,
            storage,
            offset: offset.try_into().ok()?,
            shape,
        })
    }

    fn storage(&mut self) -> Option<Storage<'a>> {
        if let Some(memo) = self.recalled() {
            return match memo? {
                Memo::Storage(storage) => Some(*storage),
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
        self.remember(Memo::Storage(storage))?;
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

    /// An integer, never negative: all integers in the list are sizes.
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
        if let Some(memo) = self.recalled() {
            return match memo? {
                Memo::Text(text) => Some(text),
                _ => None,
            };
        }
        self.exactly(b"X")?;
        let length = self.take(4)?.try_into().ok().map(u32::from_le_bytes)?;
        let text = std::str::from_utf8(self.take(length as usize)?).ok()?;
        self.remember(Memo::Text(text))?;
        Some(text)
    }

    fn global(&mut self, module: &str, name: &str) -> Option<()> {
        (self.any_global()? == (module, name)).then_some(())
    }

    fn any_global(&mut self) -> Option<(&'a str, &'a str)> {
        if let Some(memo) = self.recalled() {
            return match memo? {
                Memo::Global(module, name) => Some((module, name)),
                _ => None,
            };
        }
        self.exactly(b"c")?;
        let (module, name) = (self.line()?, self.line()?);
        self.remember(Memo::Global(module, name))?;
        Some((module, name))
    }

    /// The memo object if the next instruction refers to one; `Some(None)` if its number is unknown.
    fn recalled(&mut self) -> Option<Option<&Memo<'a>>> {
        let index = self.number_behind(b'h', b'j')?;
        Some(self.memory.get(index))
    }

    /// Reads the instruction that numbers an object right after it was read.
    fn remember(&mut self, memo: Memo<'a>) -> Option<()> {
        let index = self.number_behind(b'q', b'r')?;
        (index == self.memory.len()).then(|| self.memory.push(memo))
    }

    /// A number of one byte after the opcode `short`, or of four bytes after `long`.
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
    fn a_list_that_libtorch_wrote_is_read() {
        let entries = archive::entries(SMALL).unwrap();
        let listed = read(entries["data.pkl"]).unwrap();
        let weight = listed.iter().find(|listed| listed.name == "output|weight");
        let weight = weight.unwrap();
        assert_eq!((weight.offset, &weight.shape[..]), (0, &[2, 3][..]));
        assert_eq!(weight.storage.kind, "FloatStorage");
        assert_eq!(listed.len(), 5);
    }

    /// Found by fuzzing: libtorch allocated 4 GB for a name, because the list had this length.
    #[test]
    fn lengths_in_the_list_are_checked() {
        let entries = archive::entries(SMALL).unwrap();
        let list = entries["data.pkl"];
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
