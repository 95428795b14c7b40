//! The kernel as an ELF file, taken out of the bzImage that distributions ship.
//!
//! QEMU starts the ELF file directly; a bzImage would unpack itself in the machine, on each boot
//! and on one emulated processor. Offsets are those of Linux' x86 boot protocol.

use std::io::Read;

const LZ4_LEGACY: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const XZ: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];

/// No block of a legacy lz4 stream unpacks to more.
const LZ4_BLOCK: usize = 8 << 20;

/// No kernel is larger unpacked.
const LARGEST: usize = 512 << 20;

/// The release that the kernel will give itself, as `uname -r` says it.
pub(super) fn release(image: &[u8]) -> Result<String, String> {
    check(image)?;
    let at = 0x200 + usize::from(u16::from_le_bytes(array(image, 0x20e)?));
    let text = image.get(at..).unwrap_or_default();
    let end = text
        .iter()
        .take(128)
        .position(|&byte| byte == b' ' || byte == 0);
    let release = end
        .and_then(|end| std::str::from_utf8(&text[..end]).ok())
        .unwrap_or_default();
    if release.is_empty() || release.contains(|c: char| c.is_control() || c == '/') {
        return Err(format!("its header has no version at {at:#x}"));
    }
    Ok(release.to_string())
}

/// The ELF file inside a bzImage.
pub(super) fn extract(image: &[u8]) -> Result<Vec<u8>, String> {
    check(image)?;
    let sectors = match image[0x1f1] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let offset = u32::from_le_bytes(array(image, 0x248)?) as usize;
    let length = u32::from_le_bytes(array(image, 0x24c)?) as usize;
    let start = (sectors + 1) * 512 + offset;
    let payload = image.get(start..start + length).ok_or_else(|| {
        format!(
            "its header says {length} bytes at {start}, the file has {}",
            image.len()
        )
    })?;
    // The build appends the unpacked size, whatever the packing.
    let (packed, size) = payload
        .split_last_chunk::<4>()
        .ok_or("its payload is empty")?;
    let size = u32::from_le_bytes(*size) as usize;
    if size > LARGEST {
        return Err(format!("it says that it unpacks to {size} bytes"));
    }
    let elf = unpack(packed, size)?;
    if elf.len() != size {
        return Err(format!("it unpacks to {} bytes and says {size}", elf.len()));
    }
    if !elf.starts_with(b"\x7fELF") {
        return Err("what it unpacks to is no ELF file".to_string());
    }
    Ok(elf)
}

fn check(image: &[u8]) -> Result<(), String> {
    if image.get(0x202..0x206) != Some(b"HdrS") {
        return Err("it has no Linux setup header".to_string());
    }
    let version = u16::from_le_bytes(array(image, 0x206)?);
    if version < 0x208 {
        return Err(format!(
            "its boot protocol is {version:#x}, the payload is named from 0x208 on"
        ));
    }
    Ok(())
}

fn array<const N: usize>(image: &[u8], at: usize) -> Result<[u8; N], String> {
    let bytes = image.get(at..).and_then(<[u8]>::first_chunk::<N>);
    bytes
        .copied()
        .ok_or_else(|| format!("it ends before byte {at:#x}"))
}

fn unpack(packed: &[u8], size: usize) -> Result<Vec<u8>, String> {
    if let Some(blocks) = packed.strip_prefix(&LZ4_LEGACY) {
        return unpack_lz4(blocks, size);
    }
    let mut elf = Vec::with_capacity(size);
    if packed.starts_with(&ZSTD) {
        let decoder = ruzstd::decoding::StreamingDecoder::new(packed);
        let decoder = decoder.map_err(|error| format!("its zstd frame is damaged: {error}"))?;
        let read = decoder.take(LARGEST as u64).read_to_end(&mut elf);
        read.map_err(|error| format!("its zstd frame is damaged: {error}"))?;
    } else if packed.starts_with(&XZ) {
        let decoder = lzma_rust2::XzReader::new(packed, false);
        let read = decoder.take(LARGEST as u64).read_to_end(&mut elf);
        read.map_err(|error| format!("its xz stream is damaged: {error}"))?;
    } else {
        let magic: Vec<String> = packed
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        return Err(format!(
            "its packing is none of lz4, zstd and xz: {}",
            magic.join(" ")
        ));
    }
    Ok(elf)
}

/// A legacy stream is blocks only, each after its packed length.
fn unpack_lz4(mut blocks: &[u8], size: usize) -> Result<Vec<u8>, String> {
    let mut elf = Vec::with_capacity(size);
    let mut block = vec![0; LZ4_BLOCK];
    while let Some((length, rest)) = blocks.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let packed = rest
            .get(..length)
            .ok_or("its last lz4 block is cut short")?;
        let filled = lz4_flex::block::decompress_into(packed, &mut block)
            .map_err(|error| format!("an lz4 block at {} is damaged: {error}", elf.len()))?;
        elf.extend_from_slice(&block[..filled]);
        if elf.len() > size {
            return Err(format!(
                "it unpacks to more than the {size} bytes that it says"
            ));
        }
        blocks = &rest[length..];
    }
    Ok(elf)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A bzImage of the release 6.1.0-x that holds `packed`.
    pub(in super::super) fn image(packed: &[u8], size: u32) -> Vec<u8> {
        let mut image = vec![0; 1024];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
        image[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        image[0x300..0x30c].copy_from_slice(b"6.1.0-x (me)");
        image[0x248..0x24c].copy_from_slice(&8_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&(packed.len() as u32 + 4).to_le_bytes());
        image.extend([0; 8]);
        image.extend(packed);
        image.extend(size.to_le_bytes());
        image.extend([0; 100]);
        image
    }

    /// One lz4 block of literals.
    pub(in super::super) fn lz4(content: &[u8]) -> Vec<u8> {
        assert!(content.len() < 15);
        let mut packed = LZ4_LEGACY.to_vec();
        packed.extend((content.len() as u32 + 1).to_le_bytes());
        packed.push((content.len() as u8) << 4);
        packed.extend(content);
        packed
    }

    #[test]
    fn the_elf_file_and_the_release_come_out() {
        let image = image(&lz4(b"\x7fELF and so on"), 14);
        assert_eq!(extract(&image).unwrap(), b"\x7fELF and so on");
        assert_eq!(release(&image).unwrap(), "6.1.0-x");
    }

    #[test]
    fn what_is_damaged_is_refused_with_the_reason() {
        let good = image(&lz4(b"\x7fELF and so on"), 14);
        let refused = |image: &[u8]| extract(image).unwrap_err();
        assert_eq!(refused(b""), "it has no Linux setup header");
        assert!(refused(&good[..1030]).contains("the file has 1030"));
        assert!(refused(&image(&lz4(b"\x7fELF"), 14)).contains("and says 14"));
        assert!(refused(&image(&lz4(b"text"), 4)).contains("no ELF file"));
        assert!(refused(&image(b"\x1f\x8b\x08\0\0\0", 4)).contains("1f 8b 08"));
        assert!(refused(&image(b"", 4)).contains("none of lz4, zstd and xz"));
        assert!(refused(&image(b"\x28\xb5\x2f\xfd", 4)).contains("zstd frame is damaged"));
        assert!(refused(&image(&XZ, 4)).contains("xz stream is damaged"));
        let mut old = good.clone();
        old[0x206] = 0;
        assert!(refused(&old).contains("0x208"));
        let mut nameless = good;
        nameless[0x20e..0x210].copy_from_slice(&0xffff_u16.to_le_bytes());
        assert!(release(&nameless).unwrap_err().contains("no version"));
    }
}
