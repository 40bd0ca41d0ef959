use super::*;
use crate::picture::jpeg::markers::{DHT, EOI, SOS};
use crate::picture::jpeg::samples::*;
use crate::random;

fn pictures(splitter: &mut Splitter) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| splitter.next_picture()).collect()
}

fn with_thumbnail(picture: &[u8], thumbnail: &[u8]) -> Vec<u8> {
    let length = (thumbnail.len() + 2) as u16;
    let segment = [&[0xFF, 0xE1], &length.to_be_bytes()[..], thumbnail].concat();
    [&picture[..2], &segment, &picture[2..]].concat()
}

#[test]
fn pictures_come_out_whole_however_the_stream_is_cut() {
    let sent = [
        sample_jpeg(64, 48),
        with_thumbnail(&sample_jpeg(32, 32), &sample_jpeg(16, 16)),
        without_huffman_tables(&sample_jpeg(48, 16)),
    ];
    let stream = sent.concat();
    for size in [1, 2, 3, 7, 100, 4096, stream.len()] {
        let mut splitter = Splitter::default();
        let mut received = Vec::new();
        for bytes in stream.chunks(size) {
            splitter.push(bytes);
            received.extend(pictures(&mut splitter));
        }
        assert_eq!(received, sent, "chunks of {size} bytes");
        assert_eq!(splitter.take_broken(), 0);
    }
}

#[test]
fn finds_the_next_picture_after_garbage_and_after_a_truncated_one() {
    let good = sample_jpeg(40, 40);
    let parts: [&[u8]; 8] = [
        b"\xff\xd8 not a picture \xff",
        &good,
        &[0; 1000],
        &good[..good.len() / 2],
        &good,
        &good[..100],
        &good,
        b"\xff\xd8\xff",
    ];
    let mut splitter = Splitter::default();
    splitter.push(&parts.concat());
    let received = pictures(&mut splitter);
    assert!(received == [good.clone(), good.clone(), good]);
    assert!(splitter.take_broken() >= 2);
}

#[test]
fn random_bytes_are_survived_in_bounded_memory() {
    let mut random = random::numbers(3);
    let mut splitter = Splitter::default();
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..1024)
            .map(|_| match random() % 8 {
                0 => 0xFF,
                1 => [SOI, EOI, SOS, DHT, 0x00, 0xD0, 0x01, 0x02][random() as usize % 8],
                _ => random() as u8,
            })
            .collect();
        splitter.push(&bytes);
        pictures(&mut splitter);
        assert!(splitter.buffer.len() <= 2 * (PICTURE_LIMIT_BYTES + 2048));
    }
    let good = sample_jpeg(40, 40);
    splitter.push(&[0; 1 << 17]);
    pictures(&mut splitter);
    splitter.push(&[good.as_slice(), &good].concat());
    assert_eq!(pictures(&mut splitter).last(), Some(&good));
}

#[test]
fn a_picture_without_end_is_given_up() {
    let mut splitter = Splitter::default();
    splitter.push(&[0xFF, SOI, 0xFF, SOS, 0, 2]);
    let zeros = vec![0; 1 << 20];
    for _ in 0..=PICTURE_LIMIT_BYTES >> 20 {
        splitter.push(&zeros);
        assert_eq!(splitter.next_picture(), None);
    }
    assert_eq!(splitter.take_broken(), 1);
    assert!(splitter.buffer.len() - splitter.start < 4);
}

#[test]
fn pictures_without_end_marker_come_out_whole() {
    let whole = sample_jpeg(40, 40);
    let sent = &whole[..whole.len() - 2];
    let mut splitter = Splitter::default();
    for bytes in sent.repeat(3).chunks(100) {
        splitter.push(bytes);
    }
    assert!(pictures(&mut splitter) == [sent, sent]);
    assert_eq!(splitter.last_picture().as_deref(), Some(sent));
    assert_eq!((splitter.take_broken(), splitter.last_picture()), (0, None));
}

#[test]
fn a_stream_that_ends_in_a_header_has_no_last_picture() {
    let mut splitter = Splitter::default();
    splitter.push(&sample_jpeg(40, 40)[..100]);
    assert_eq!((splitter.next_picture(), splitter.last_picture()), (None, None));
    assert_eq!(splitter.take_broken(), 1);
}

#[test]
fn pictures_that_a_broken_last_one_swallowed_come_out() {
    let good = sample_jpeg(40, 40);
    // A segment that claims more than there is.
    let broken = [0xFF, SOI, 0xFF, 0xE0, 0xFF, 0xFF];
    for behind in [&good[..], &good[..good.len() - 2], &[&good[..], &broken].concat()] {
        let mut splitter = Splitter::default();
        splitter.push(&[&good, &broken[..], &good, behind].concat());
        assert_eq!(pictures(&mut splitter), [&good[..]]);
        let last: Vec<_> = std::iter::from_fn(|| splitter.last_picture()).collect();
        let expected = if behind.len() > good.len() { &good } else { behind };
        assert!(last == [&good[..], expected]);
        assert!(splitter.take_broken() >= 1);
    }
}

#[test]
fn a_large_picture_is_handed_on_in_its_memory() {
    let comment = [&[0xFF, 0xFE, 0xFF, 0xFF][..], &[b'x'; 0xFFFD]].concat();
    let small = sample_jpeg(40, 40);
    let large = [&small[..2], &comment.repeat(20), &small[2..]].concat();
    let mut splitter = Splitter::default();
    splitter.push(&[&small, &large, &small[..100]].concat());
    assert_eq!(splitter.next_picture().as_ref(), Some(&small));
    let at = splitter.buffer.as_ptr();
    let given = splitter.next_picture().expect("it is whole");
    assert!(given == large && given.as_ptr() == at);
    assert!(splitter.buffer.len() == 100 && splitter.buffer.capacity() < LARGE_BYTES);
    splitter.push(&small[100..]);
    assert_eq!(pictures(&mut splitter), [small]);
}

#[test]
fn gathering_a_large_picture_takes_little_more_than_the_picture() {
    let mut splitter = Splitter::default();
    splitter.push(&[0xFF, SOI, 0xFF, SOS, 0, 2]);
    for _ in 0..70 {
        splitter.push(&[0; 1 << 16]);
        assert_eq!(splitter.next_picture(), None);
        assert!(splitter.buffer.capacity() <= splitter.buffer.len() + LARGE_BYTES);
    }
}

/// Segments that all end at the same place, each with the start of another picture in it.
fn nested_segments(count: u16) -> Vec<u8> {
    let land = 6 * count;
    let starts = (0..count).flat_map(|index| {
        let [high, low] = (land - 6 * index - 4).to_be_bytes();
        [0xFF, SOI, 0xFF, 0xE0, high, low]
    });
    starts.chain([0xFF, SOS, 0, 2]).collect()
}

#[test]
fn the_work_is_linear_whatever_is_in_the_stream() {
    let nested = nested_segments(10_900);
    let streams: [(&str, Vec<u8>); 6] = [
        ("scan data without end", [nested.as_slice(), &vec![1; 17 << 20]].concat()),
        ("nested segments", nested.repeat(40)),
        ("starts", [0xFF, SOI].repeat(1 << 20)),
        ("starts and followers", [0xFF, SOI, 0xFF].repeat(1 << 20)),
        ("scans", [0xFF, SOI, 0xFF, SOS, 0, 2, 0].repeat(1 << 18)),
        ("tables", [0xFF, SOI, 0xFF, DHT, 0xFF, 0xFF, 0xFF, EOI].repeat(1 << 18)),
    ];
    for (name, stream) in streams {
        let mut splitter = Splitter::default();
        let mut given = 0;
        for bytes in stream.chunks(1 << 16) {
            splitter.push(bytes);
            given += pictures(&mut splitter).iter().map(Vec::len).sum::<usize>();
        }
        let most = stream.len() as u64 * (2 + SECOND_LOOKS as u64);
        assert!(splitter.work_bytes() <= most, "{name}: {}", splitter.work_bytes());
        assert!(given <= stream.len(), "{name}");
    }
}
