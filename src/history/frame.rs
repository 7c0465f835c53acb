//! Messages of Arrow's IPC stream, each with a checksum in its metadata.
//!
//! arrow-ipc writes no metadata for single messages, so the message that it made is built again with some. The checksum
//! covers all of a message but the eight bytes before it, which have its size. It is computed with zeros in its place.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_ipc::{
    self as ipc, BodyCompressionBuilder, CompressionType, KeyValue, KeyValueBuilder, MessageBuilder, MessageHeader,
    MetadataVersion, RecordBatchBuilder, convert, reader, root_as_message,
};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, Vector, WIPOffset};

use crate::error::{Error, Result};
use crate::history::files::checksum;
use crate::history::lz4;
use crate::memory::probe;

/// The key of the checksum in a message's metadata, and its value until it is computed.
const SUM: &str = "xxh64";
const NO_SUM: &str = "0000000000000000";

/// The beginning of a message, and all of the one that ends a stream.
const CONTINUATION: [u8; 4] = [0xff; 4];
pub(crate) const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// The bytes before a message: the mark and the size of its header.
const PREFIX_BYTES: usize = 8;

/// What a compressed buffer begins with in the place of its size where compression did not make it smaller.
const NOT_COMPRESSED: i64 = -1;

/// The multiple of bytes at which a decompressed buffer begins.
const ALIGNED: usize = 64;

/// The most bytes of a message's header.
const HEADER_MAX: usize = 16 << 20;

/// A message, and where it is.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    header: &'a [u8],
    pub(crate) body: Range<usize>,
    pub(crate) end: usize,
}

type Metadata<'a> = WIPOffset<Vector<'a, ForwardsUOffset<KeyValue<'a>>>>;

fn metadata<'a>(builder: &mut FlatBufferBuilder<'a>, pairs: &[(&str, String)]) -> Metadata<'a> {
    let mut made = Vec::new();
    for (key, value) in pairs.iter().map(|(key, value)| (*key, value.as_str())).chain([(SUM, NO_SUM)]) {
        let (key, value) = (builder.create_string(key), builder.create_string(value));
        let mut pair = KeyValueBuilder::new(builder);
        pair.add_key(key);
        pair.add_value(value);
        made.push(pair.finish());
    }
    builder.create_vector(&made)
}

/// The position of the checksum in a header.
fn sum_range(header: &[u8]) -> Option<Range<usize>> {
    let metadata = root_as_message(header).ok()?.custom_metadata()?;
    let value = metadata.iter().find(|pair| pair.key() == Some(SUM))?.value()?;
    let start = value.as_ptr().addr().checked_sub(header.as_ptr().addr())?;
    (value.len() == NO_SUM.len()).then_some(start..start + NO_SUM.len())
}

fn framed(header: &[u8], body: &[u8]) -> Result<Vec<u8>> {
    let padded = header.len().next_multiple_of(8);
    let mut message = Vec::with_capacity(PREFIX_BYTES + padded + body.len());
    message.extend_from_slice(&CONTINUATION);
    message.extend_from_slice(&(padded as u32).to_le_bytes());
    message.extend_from_slice(header);
    message.resize(PREFIX_BYTES + padded, 0);
    message.extend_from_slice(body);
    let at = sum_range(&message[PREFIX_BYTES..PREFIX_BYTES + padded])
        .ok_or_else(|| Error::Columns("a message without room for its checksum".into()))?;
    let sum = format!("{:016x}", checksum(&message[PREFIX_BYTES..]));
    message[PREFIX_BYTES..][at].copy_from_slice(sum.as_bytes());
    Ok(message)
}

/// Makes the message that begins a stream.
pub(crate) fn schema_message(schema: &Schema) -> Result<Vec<u8>> {
    let mut builder = FlatBufferBuilder::new();
    let schema = convert::schema_to_fb_offset(&mut builder, schema);
    let metadata = metadata(&mut builder, &[]);
    let mut message = MessageBuilder::new(&mut builder);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(MessageHeader::Schema);
    message.add_bodyLength(0);
    message.add_header(schema.as_union_value());
    message.add_custom_metadata(metadata);
    let root = message.finish();
    builder.finish(root, None);
    framed(builder.finished_data(), &[])
}

fn batch_header<'a>(
    builder: &mut FlatBufferBuilder<'a>,
    rows: i64,
    nodes: &[ipc::FieldNode],
    buffers: &[ipc::Buffer],
    compression: Option<ipc::BodyCompression<'_>>,
) -> WIPOffset<ipc::RecordBatch<'a>> {
    let (nodes, buffers) = (builder.create_vector(nodes), builder.create_vector(buffers));
    let compression = compression.map(|from| {
        let mut compression = BodyCompressionBuilder::new(builder);
        compression.add_method(from.method());
        compression.add_codec(from.codec());
        compression.finish()
    });
    let mut header = RecordBatchBuilder::new(builder);
    header.add_length(rows);
    header.add_nodes(nodes);
    header.add_buffers(buffers);
    if let Some(compression) = compression {
        header.add_compression(compression);
    }
    header.finish()
}

/// Makes the message of a batch, with `pairs` as its metadata.
pub(crate) fn batch_message(batch: &RecordBatch, pairs: &[(&str, String)]) -> Result<Vec<u8>> {
    let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?
        .try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    let mut dictionaries = DictionaryTracker::new(true);
    let (_, encoded) =
        IpcDataGenerator::default().encode(batch, &mut dictionaries, &options, &mut IpcWriteContext::default())?;
    let wrong = || Error::Columns("arrow-ipc made no batch".into());
    let made = root_as_message(&encoded.ipc_message).map_err(|_| wrong())?;
    let content = made.header_as_record_batch().ok_or_else(wrong)?;
    let nodes: Vec<_> = content.nodes().ok_or_else(wrong)?.iter().copied().collect();
    let buffers: Vec<_> = content.buffers().ok_or_else(wrong)?.iter().copied().collect();
    let mut builder = FlatBufferBuilder::new();
    let record_batch = batch_header(&mut builder, content.length(), &nodes, &buffers, content.compression());
    let metadata = metadata(&mut builder, pairs);
    let mut message = MessageBuilder::new(&mut builder);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(MessageHeader::RecordBatch);
    message.add_bodyLength(made.bodyLength());
    message.add_header(record_batch.as_union_value());
    message.add_custom_metadata(metadata);
    let root = message.finish();
    builder.finish(root, None);
    let mut body = encoded.arrow_data;
    body.resize(usize::try_from(made.bodyLength()).map_err(|_| wrong())?, 0);
    framed(builder.finished_data(), &body)
}

/// The bytes that must be read to go on with a message of which these are the first: the prefix, then the header, then
/// all of it. `None` when no message begins so.
pub(crate) fn message_bytes(bytes: &[u8]) -> Option<usize> {
    let Some((prefix, rest)) = bytes.split_at_checked(PREFIX_BYTES) else { return Some(PREFIX_BYTES) };
    let size = u32::from_le_bytes(*prefix.strip_prefix(&CONTINUATION)?.first_chunk()?) as usize;
    if size == 0 || size > HEADER_MAX {
        return None;
    }
    let Some(header) = rest.get(..size) else { return Some(PREFIX_BYTES + size) };
    let body = usize::try_from(root_as_message(header).ok()?.bodyLength()).ok()?;
    PREFIX_BYTES.checked_add(size)?.checked_add(body)
}

/// Reads the message at `at`. `None` when none is there, or one that is not whole.
pub(crate) fn message_at(bytes: &[u8], at: usize) -> Option<Message<'_>> {
    let rest = bytes.get(at..)?.strip_prefix(&CONTINUATION)?;
    let (size, rest) = rest.split_first_chunk()?;
    let size = u32::from_le_bytes(*size) as usize;
    let header = rest.get(..size).filter(|_| size > 0 && size <= HEADER_MAX)?;
    let body_bytes = usize::try_from(root_as_message(header).ok()?.bodyLength()).ok()?;
    let message = rest.get(..size.checked_add(body_bytes)?)?;
    let at_sum = sum_range(header)?;
    let mut zeroed = header.to_vec();
    zeroed[at_sum.clone()].copy_from_slice(NO_SUM.as_bytes());
    let mut hasher = twox_hash::XxHash64::with_seed(0);
    for part in [&zeroed, &message[size..]] {
        std::hash::Hasher::write(&mut hasher, part);
    }
    let sum = format!("{:016x}", std::hash::Hasher::finish(&hasher));
    if header[at_sum] != *sum.as_bytes() {
        return None;
    }
    let body = at + PREFIX_BYTES + size..at + PREFIX_BYTES + message.len();
    Some(Message { header, end: body.end, body })
}

/// The position of the next message that is whole, from `at` on.
pub(crate) fn next_message(bytes: &[u8], at: usize) -> Option<usize> {
    (at.next_multiple_of(8)..bytes.len()).step_by(8).find(|at| message_at(bytes, *at).is_some())
}

impl Message<'_> {
    /// The metadata.
    pub(crate) fn metadata(&self) -> HashMap<String, String> {
        let metadata = root_as_message(self.header).ok().and_then(|message| message.custom_metadata());
        let pairs = metadata.into_iter().flatten();
        pairs.filter_map(|pair| Some((pair.key()?.to_owned(), pair.value()?.to_owned()))).collect()
    }

    /// The schema, in a message that has one.
    pub(crate) fn schema(&self) -> Option<SchemaRef> {
        let message = root_as_message(self.header).ok()?;
        convert::try_fb_to_schema(message.header_as_schema()?).ok().map(Arc::new)
    }

    /// The batch, in a message that has one. `bytes` are those that it was found in.
    pub(crate) fn batch(&self, bytes: &Buffer, schema: &SchemaRef) -> Result<RecordBatch> {
        let message = root_as_message(self.header).map_err(|error| Error::Columns(error.to_string()))?;
        let content = message
            .header_as_record_batch()
            .ok_or_else(|| Error::from(ArrowError::IpcError("a message that is no batch".into())))?;
        let body = bytes.slice_with_length(self.body.start, self.body.len());
        let none = HashMap::new();
        let read = |body: &Buffer, content| {
            reader::read_record_batch(body, content, Arc::clone(schema), &none, None, &message.version())
        };
        if content.compression().is_none_or(|compression| compression.codec() != CompressionType::LZ4_FRAME) {
            return Ok(read(&body, content)?);
        }
        let (header, body) = decompressed(&content, &body)?;
        let content =
            flatbuffers::root::<ipc::RecordBatch<'_>>(&header).map_err(|error| Error::Columns(error.to_string()))?;
        Ok(read(&body, content)?)
    }
}

/// The header and the body that a batch would have if its buffers had not been compressed.
fn decompressed(content: &ipc::RecordBatch<'_>, body: &[u8]) -> Result<(Vec<u8>, Buffer)> {
    let wrong = || Error::from(ArrowError::IpcError("a buffer that is no LZ4 frame of its size".into()));
    let (mut frames, mut buffers, mut size) = (Vec::new(), Vec::new(), 0_usize);
    for buffer in content.buffers().into_iter().flatten() {
        let [start, bytes] = [buffer.offset(), buffer.length()].map(|value| usize::try_from(value).ok());
        let part = start.zip(bytes).and_then(|(start, bytes)| body.get(start..)?.get(..bytes)).ok_or_else(wrong)?;
        let (frame, bytes) = match part.split_first_chunk() {
            Some((prefix, frame)) => (frame, i64::from_le_bytes(*prefix)),
            None if part.is_empty() => (part, 0),
            None => return Err(wrong()),
        };
        let is_plain = bytes == NOT_COMPRESSED;
        let bytes = if is_plain { Some(frame.len()) } else { usize::try_from(bytes).ok() };
        let bytes = bytes.filter(|bytes| bytes / lz4::MOST <= frame.len()).ok_or_else(wrong)?;
        buffers.push(ipc::Buffer::new(size.cast_signed() as i64, bytes.cast_signed() as i64));
        if bytes > 0 {
            frames.push((size..size + bytes, frame, is_plain));
        }
        size = (size + bytes).next_multiple_of(ALIGNED);
    }
    // Arrow ends the process when it gets no memory.
    probe(size).map_err(Error::memory("decompress a log"))?;
    let mut plain = MutableBuffer::from_len_zeroed(size);
    for (range, frame, is_plain) in frames {
        if is_plain {
            plain[range].copy_from_slice(frame);
        } else {
            lz4::decompress(frame, &mut plain[range.start..], range.len()).ok_or_else(wrong)?;
        }
    }
    let nodes: Vec<_> = content.nodes().into_iter().flatten().copied().collect();
    let mut builder = FlatBufferBuilder::new();
    let header = batch_header(&mut builder, content.length(), &nodes, &buffers, None);
    builder.finish(header, None);
    Ok((builder.finished_data().to_vec(), plain.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::log::testing::batch;

    #[test]
    fn a_buffer_of_another_size_is_refused() {
        let written = batch(0, 200);
        let bytes = batch_message(&written, &[]).unwrap();
        let message = message_at(&bytes, 0).unwrap();
        let read = |bytes: &[u8]| message.batch(&Buffer::from(bytes), &written.schema());
        assert_eq!(read(&bytes).unwrap(), written);
        let header = root_as_message(message.header).unwrap().header_as_record_batch().unwrap();
        let starts = header.buffers().unwrap().iter().filter(|buffer| buffer.length() > 0);
        let starts: Vec<_> =
            starts.map(|buffer| message.body.start + buffer.offset().cast_unsigned() as usize).collect();
        assert!(starts.len() > 2);
        for start in starts {
            let prefix = start..start + size_of::<i64>();
            for wrong in [i64::MIN, -2, 7, 1 << 50, i64::MAX] {
                let mut changed = bytes.clone();
                changed[prefix.clone()].copy_from_slice(&wrong.to_le_bytes());
                let error = read(&changed).unwrap_err().to_string();
                assert!(error.ends_with("a buffer that is no LZ4 frame of its size"), "{wrong}: {error}");
            }
        }
    }
}
