//! `millrace-transcoder stills`.

use std::path::Path;

use bytes::Bytes;
use millrace_core::transcode::{Still, StillFormat, StillOrder, StillReport, StillSize};

use crate::media::{Source, ffmpeg, probe};
use crate::process::Job;

fn keyframe(id: u64, source: &Source, sizes: &[StillSize]) -> StillOrder {
    StillOrder::Keyframe {
        id,
        record: source.record.clone(),
        data: source.units[0].data.clone(),
        sizes: sizes.to_vec(),
    }
}

fn size(format: StillFormat, within: (u16, u16)) -> StillSize {
    StillSize { format, within, quality: 80 }
}

fn answers(orders: &[StillOrder]) -> Vec<StillReport> {
    let mut job = Job::start("stills");
    orders.iter().for_each(|order| job.order(order));
    let (reports, complaint) = job.end();
    assert_eq!(complaint, "");
    reports
}

/// The size of a file that ffmpeg can read, its format's name, and its pixels in RGB.
fn seen(still: &Still) -> (String, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let (file, raw) = (folder.path().join("still"), folder.path().join("raw"));
    std::fs::write(&file, &still.data).unwrap();
    let what = probe(&file, &["-show_entries", "stream=codec_name,width,height"]);
    ffmpeg(&["-i", file.to_str().unwrap(), "-pix_fmt", "rgb24", "-f", "rawvideo", raw.to_str().unwrap()]);
    (what.trim().to_owned(), std::fs::read(raw).unwrap())
}

fn assert_near(pixels: &[u8], colour: [u8; 3], what: &str) {
    for pixel in pixels.chunks(3) {
        let near = pixel.iter().zip(colour).all(|(is, wanted)| is.abs_diff(wanted) <= 8);
        assert!(near, "{what}: {pixel:?} instead of {colour:?}");
    }
}

#[test]
fn a_keyframe_becomes_files_of_the_right_size_and_colour() {
    let colour = [200, 60, 30];
    for (matrix, range) in [("bt709", "tv"), ("smpte170m", "tv"), ("bt709", "pc")] {
        let filter = format!(
            "color=0xC83C1E:size=1280x720:rate=30:duration=0.2,format=rgb24,scale=out_color_matrix={matrix}:out_range={range},format=yuv420p"
        );
        let source = Source::made(
            &filter,
            &format!("-preset ultrafast -qp 4 -colorspace {matrix} -color_range {range}"),
        );
        let sizes = [
            size(StillFormat::Jpeg, (320, 320)),
            size(StillFormat::Webp, (640, 640)),
            size(StillFormat::Rgb, (160, 160)),
            size(StillFormat::Jpeg, (4000, 4000)),
        ];
        let [report] = answers(&[keyframe(7, &source, &sizes)]).try_into().unwrap();
        assert_eq!(report.id, 7);
        let [small, webp, rgb, large] = report.stills.unwrap().try_into().unwrap();
        assert_eq!(
            [small.size, webp.size, rgb.size, large.size],
            [(320, 180), (640, 360), (160, 90), (1280, 720)]
        );
        assert_near(&rgb.data, colour, &format!("RGB of {matrix} {range}"));
        for (still, what) in [(&small, "mjpeg,320,180"), (&webp, "webp,640,360"), (&large, "mjpeg,1280,720")]
        {
            let (is, pixels) = seen(still);
            assert_eq!(is, what);
            assert_near(&pixels, colour, &format!("{what} of {matrix} {range}"));
        }
        assert_eq!(&small.data[6..10], b"JFIF");
        assert_eq!(rgb.data.len(), 160 * 90 * 3);
    }
}

#[test]
fn a_better_quality_is_more_bytes() {
    let source = Source::made("testsrc2=size=640x360:rate=30:duration=0.2", "-preset ultrafast");
    for format in [StillFormat::Jpeg, StillFormat::Webp] {
        let of = |quality| StillSize { format, within: (640, 360), quality };
        let [report] =
            answers(&[keyframe(0, &source, &[of(0), of(30), of(75), of(95), of(255)])]).try_into().unwrap();
        let bytes: Vec<_> = report.stills.unwrap().iter().map(|still| still.data.len()).collect();
        assert!(bytes.is_sorted() && bytes[1] < bytes[2] && bytes[2] < bytes[3], "{format:?}: {bytes:?}");
    }
}

#[test]
fn pixels_that_are_not_square_are_shown_as_they_are_meant() {
    let source = Source::made("testsrc2=size=720x576:rate=25:duration=0.2,setsar=64/45", "-preset ultrafast");
    let [report] =
        answers(&[keyframe(0, &source, &[size(StillFormat::Jpeg, (640, 640))])]).try_into().unwrap();
    assert_eq!(report.stills.unwrap()[0].size, (640, 360));
}

#[test]
fn sources_of_all_kinds_have_stills() {
    let kinds =
        ["yuv420p10le -bf 2", "yuv422p", "yuv444p", "gray", "yuv420p -bf 3 -x264-params b-pyramid=normal"];
    let mut orders = Vec::new();
    for (id, kind) in kinds.iter().enumerate() {
        let source = Source::made(
            "testsrc2=size=322x182:rate=30:duration=0.5",
            &format!("-preset veryfast -pix_fmt {kind}"),
        );
        // Twice: the second time the decoder is used again.
        let sizes = [size(StillFormat::Jpeg, (160, 160))];
        orders.extend([keyframe(id as u64, &source, &sizes), keyframe(id as u64, &source, &sizes)]);
    }
    for (pair, kind) in answers(&orders).chunks(2).zip(kinds) {
        let stills = pair[0].stills.as_ref().unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(stills[0].size, (160, 90), "{kind}");
        assert_eq!(pair[0], pair[1], "{kind}");
    }
}

#[test]
fn black_white_and_moving_pictures_do_not_look_alike() {
    let look = |filter: &str| {
        let source = Source::made(
            &format!("{filter}size=640x360:rate=30:duration=0.2"),
            "-preset ultrafast -pix_fmt yuv420p",
        );
        let [report] =
            answers(&[keyframe(0, &source, &[size(StillFormat::Jpeg, (320, 180))])]).try_into().unwrap();
        let [none] = answers(&[keyframe(0, &source, &[])]).try_into().unwrap();
        assert_eq!(none.stills.unwrap(), []);
        let (look, without) = (report.look.unwrap(), none.look.unwrap());
        assert!(look.luma.abs_diff(without.luma) <= 2, "{look:?} {without:?}");
        look
    };
    let (black, white, bars) = (look("color=black:"), look("color=white:"), look("testsrc2="));
    assert!(black.luma <= 1 && black.luma_p95 <= 1, "{black:?}");
    assert!(white.luma >= 254 && white.fields == [[white.luma; 8]; 8], "{white:?}");
    assert!(bars.luma > 40 && bars.luma_p95 > bars.luma && bars.fields[0] != bars.fields[4], "{bars:?}");
}

#[test]
fn what_is_no_keyframe_says_so_and_the_next_is_made() {
    let source = Source::made("testsrc2=size=320x180:rate=30:duration=0.2", "-preset ultrafast");
    let sizes = vec![size(StillFormat::Jpeg, (160, 160))];
    let broken = |record: &Bytes, data: &[u8]| StillOrder::Keyframe {
        id: 1,
        record: record.clone(),
        data: Bytes::copy_from_slice(data),
        sizes: sizes.clone(),
    };
    let reports = answers(&[
        broken(&source.record, b"no access unit"),
        broken(&source.record, b""),
        broken(&Bytes::from_static(b"no record"), &source.units[0].data),
        broken(&Bytes::new(), b""),
        keyframe(2, &source, &sizes),
    ]);
    assert_eq!(reports.len(), 5);
    for report in &reports[..4] {
        assert!(
            report.stills.as_ref().is_err_and(|reason| !reason.is_empty()) && report.look.is_none(),
            "{report:?}"
        );
    }
    assert!(reports[4].stills.is_ok());
}

#[test]
fn tiles_are_put_together_in_reading_order() {
    let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 0, 0]];
    let tiles: Vec<_> = colours.iter().map(|colour| Bytes::from(colour.repeat(160 * 90))).collect();
    let formats = vec![(StillFormat::Jpeg, 90), (StillFormat::Webp, 90)];
    let order = StillOrder::Sprite { id: 3, tiles, tile: (160, 90), columns: 2, formats };
    let bad =
        StillOrder::Sprite { id: 4, tiles: vec![Bytes::new()], tile: (160, 90), columns: 2, formats: vec![] };
    let [sprite, refused] = answers(&[order, bad]).try_into().unwrap();
    assert!(refused.stills.is_err_and(|reason| reason.contains("tile 0")));
    assert_eq!((sprite.id, sprite.look), (3, None));
    for (still, name) in sprite.stills.unwrap().iter().zip(["mjpeg", "webp"]) {
        assert_eq!(still.size, (320, 270));
        let (is, pixels) = seen(still);
        assert_eq!(is, format!("{name},320,270"));
        for (at, colour) in colours.iter().enumerate() {
            // The middle of each tile: chroma is shared at the edges.
            let (x, y) = (at % 2 * 160 + 80, at / 2 * 90 + 45);
            assert_near(&pixels[(y * 320 + x) * 3..][..3], *colour, name);
        }
    }
}

#[test]
fn ffmpeg_reads_a_keyframe_alone() {
    // What the tests feed with is what the server does: an IDR picture without what is around it.
    let source = Source::made("testsrc2=size=320x180:rate=30:duration=0.5", "-preset veryfast -bf 2");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.264");
    Source { record: source.record.clone(), units: vec![source.units[0].clone()] }.write(Path::new(&file));
    assert_eq!(probe(&file, &["-count_frames", "-show_entries", "stream=nb_read_frames"]).trim(), "1");
}
