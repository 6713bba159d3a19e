"""Frames against PyAV's own decoding of every frame, and against files whose frames are known."""

from pathlib import Path

import av
import numpy as np
import pytest
from footage import AUDIO_ONLY, CONTAINERS, numbers, write

from mmcalib.media import MediaError, video
from mmcalib.media.video import duration, read_frames, segment_times, steady_times

SHARED = Path(__file__).parents[3] / 'shared' / 'data' / 'av_samples'
LEFT_OUT = (
    'hdr',  # FFmpeg's versions differ in how HDR becomes RGB
    'bt2020',
    'mmaction2__test.avi',  # its time stamps are out of order
    'demo_skeleton',  # large: seconds
    'testsrc2.mp4',
    'testsrc2_h265',
    '.wav',
    '.mp3',
)


def samples() -> list[Path]:
    files = [path for path in sorted(SHARED.rglob('*.*')) if path.is_file()]
    return [path for path in files if not any(part in path.name for part in LEFT_OUT)]


def decoded(path: Path) -> tuple[np.ndarray, list[av.VideoFrame]]:
    """(n,) seconds from the container's start, and the n frames."""
    with av.open(str(path)) as container:
        zero = (container.start_time or 0) / av.time_base
        frames = list(container.decode(video=0))
    # The frames that a decoder holds back to the end of an MPEG file have no time stamp.
    step = frames[1].time - frames[0].time if len(frames) > 1 else 0.0
    times = [frames[0].time + k * step if f.time is None else f.time for k, f in enumerate(frames)]
    return np.array(times) - zero, frames


def upright(frame: av.VideoFrame) -> np.ndarray:
    """(H, W, 3) int, turned as the file says."""
    turns = round(getattr(frame, 'rotation', 0) / 90)
    return np.rot90(frame.to_ndarray(format='rgb24'), turns).astype(int)


@pytest.mark.parametrize('suffix', [s for s in CONTAINERS if s not in AUDIO_ONLY])
def test_every_container_gives_the_frame_shown_at_each_time(tmp_path, suffix):
    path = write(tmp_path / f'clip{suffix}')
    times, images = decoded(path)
    asked = np.random.default_rng(0).uniform(0.05, 1.95, 12)
    expected = [np.flatnonzero(times <= t).max() for t in asked]
    frames = read_frames(path, asked)
    assert frames.shape == (12, 48, 64, 3) and frames.dtype == np.uint8
    assert numbers(frames) == expected
    for frame, number in zip(frames, expected, strict=True):
        np.testing.assert_allclose(frame, upright(images[number]), atol=2)


@pytest.mark.skipif(not SHARED.exists(), reason='no shared sample files on this machine')
@pytest.mark.parametrize('path', samples(), ids=lambda path: path.name)
def test_real_files_agree_with_pyav(path):
    times, images = decoded(path)
    asked = times[0] + np.random.default_rng(0).uniform(0, times[-1] - times[0] + 0.01, 3)
    for t, frame in zip(asked, read_frames(path, asked), strict=True):
        number = np.flatnonzero(times <= t).max()
        near = images[max(number - 1, 0) : number + 2]
        distances = [np.abs(upright(image) - frame).mean() for image in near]
        assert upright(images[number]).shape == frame.shape
        distance = np.abs(upright(images[number]) - frame).mean()
        assert distance < 2.0 and distance <= min(distances) + 0.01


def test_a_time_stamp_belongs_to_the_frame_that_appears_then(tmp_path):
    path = write(tmp_path / 'clip.mp4', 1.0, audio=False)
    assert numbers(read_frames(path, [k / 25 for k in range(25)])) == list(range(25))
    assert numbers(read_frames(path, [0.6 - 1e-3, 0.6, 0.639])) == [14, 15, 15]


def test_times_may_repeat_and_come_in_any_order(tmp_path):
    path = write(tmp_path / 'clip.mp4', 1.0)
    assert numbers(read_frames(path, [0.5, 0.1, 0.9, 0.1])) == [12, 2, 22, 2]


def test_variable_frame_rate_holds_each_frame_until_the_next(tmp_path):
    path = write(tmp_path / 'clip.mkv', audio=False, pts=[0, 1, 2, 30, 31, 60])
    asked = [0.0, 0.05, 0.1, 1.0, 1.19, 1.21, 1.25, 2.39, 2.41]
    assert numbers(read_frames(path, asked)) == [0, 1, 2, 2, 2, 3, 4, 4, 5]


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
def test_seconds_count_from_the_start_of_the_earliest_stream(tmp_path, suffix):
    late_picture = write(tmp_path / f'late{suffix}', pts=range(25, 50))
    assert numbers(read_frames(late_picture, [0.5, 1.0, 1.5])) == [0, 0, 12]


@pytest.mark.skipif(not SHARED.exists(), reason='no shared sample files on this machine')
def test_a_file_that_is_late_as_a_whole_starts_at_zero():
    path = SHARED / 'edge_cases' / 'torchcodec__test_non_zero_start.mp4'
    with av.open(str(path)) as container:
        assert container.start_time > 8e6
        first = next(container.decode(video=0))
    assert duration(path) == pytest.approx(0.4, abs=0.01)
    np.testing.assert_allclose(read_frames(path, [0.0])[0], upright(first), atol=2)


@pytest.mark.parametrize('size', [(66, 50), (640, 2), (2, 640)])
def test_unusual_sizes_keep_their_shape(tmp_path, size):
    path = write(tmp_path / 'clip.mp4', 0.4, audio=False, size=size)
    assert read_frames(path, [0.1]).shape == (1, size[1], size[0], 3)


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.flv'])
def test_far_times_are_reached_by_a_seek_and_give_the_same_frames(tmp_path, suffix, monkeypatch):
    path = write(tmp_path / f'clip{suffix}', pts=[*range(20), *range(100, 140)])
    asked = [4.5, 4.3, 5.0]
    from_start = read_frames(path, asked)
    monkeypatch.setattr(video, 'SEEK_S', 0.5)
    np.testing.assert_array_equal(read_frames(path, asked), from_start)
    shift = video._declared(path).begin_s
    assert numbers(from_start) == [20 + int((t - shift) * 25 - 100 + 1e-6) for t in asked]


def test_a_short_span_is_read_neither_from_the_start_nor_to_the_end(tmp_path, monkeypatch):
    path = write(tmp_path / 'clip.mp4', pts=range(60))  # x264 puts a keyframe every 250
    grabbed = []
    decode = video._opencv

    def counting(*given):
        for picture in decode(*given):
            grabbed.append(picture[0])
            yield picture

    monkeypatch.setattr(video, '_opencv', counting)
    read_frames(path, [0.4])
    assert len(grabbed) == 12, 'it decodes on after the frame it needs'
    grabbed.clear()
    monkeypatch.setattr(video, 'SEEK_S', 0.1)
    read_frames(path, [2.0])
    assert len(grabbed) < 6


def test_a_codec_that_opencv_lacks_is_decoded_by_pyav(tmp_path, monkeypatch):
    path = write(tmp_path / 'clip.mp4', 1.0)
    expected = read_frames(path, [0.1, 0.5])
    monkeypatch.setattr(video, '_opencv', lambda *given: (picture for picture in ()))
    np.testing.assert_allclose(read_frames(path, [0.1, 0.5]), expected, atol=2)
    monkeypatch.setattr(video, 'SEEK_S', 0.1)
    assert numbers(read_frames(path, [0.5, 0.9])) == [12, 22]


def test_times_after_the_last_frame_show_it_unless_all_lie_beyond_half_a_second(tmp_path):
    path = write(tmp_path / 'clip.mp4', 1.0, audio=False)
    assert numbers(read_frames(path, [0.5, 30.0])) == [12, 24]
    assert numbers(read_frames(path, [1.4])) == [24]
    with pytest.raises(MediaError, match=r'clip.mp4: asked for 2 frames from 1.500 s to 3.000 s'):
        read_frames(path, [3.0, 1.5])
    with pytest.raises(MediaError, match=r'last picture appears at 0.960 s'):
        read_frames(path, [7.0])


@pytest.mark.parametrize('suffix', [s for s in CONTAINERS if s not in AUDIO_ONLY])
def test_duration_is_where_the_pictures_end(tmp_path, suffix):
    path = write(tmp_path / f'clip{suffix}', 3.0)
    times, _ = decoded(path)
    assert duration(path) == pytest.approx(times[-1] + 0.04, abs=0.085)


def test_segment_times_lie_in_the_middle_or_anywhere_of_equal_segments():
    np.testing.assert_allclose(segment_times(1.0, 3.0, 4), [1.25, 1.75, 2.25, 2.75])
    np.testing.assert_allclose(segment_times(0.2, 0.4, 1), [0.3])
    drawn = np.stack(
        [segment_times(1.0, 3.0, 4, np.random.default_rng(seed)) for seed in range(2000)]
    )
    lows = np.array([1.0, 1.5, 2.0, 2.5])
    assert (drawn >= lows).all() and (drawn < lows + 0.5).all()
    np.testing.assert_allclose(drawn.mean(axis=0), lows + 0.25, atol=0.02)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.1, 'segments are drawn independently'
    again = segment_times(1.0, 3.0, 4, np.random.default_rng(7))
    np.testing.assert_array_equal(drawn[7], again)


def test_steady_times_are_equally_far_apart_and_before_the_end():
    np.testing.assert_allclose(steady_times(0.5, 3.7), [0.5, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(steady_times(0.0, 3.0), [0, 1, 2])
    np.testing.assert_allclose(steady_times(0.0, 0.1 * 3, 10.0), [0, 0.1, 0.2])
    np.testing.assert_allclose(steady_times(2.0, 2.0), [2.0])
    with pytest.raises(ValueError, match=r'rate_hz=0\)'):
        steady_times(0.0, 1.0, 0)


def test_a_frame_that_was_let_pass_is_asked_for_again():
    def pictures(times):
        return ((now, lambda k=k: np.full((1, 1, 3), k)) for k, now in enumerate(times))

    times = np.array([0.05, 1.9])
    pause = [0.0, 0.04, 0.08, 2.0]
    assert video._shown(pictures(pause), times, 0.06) is None, 'frame 2 appears 1.82 s early'
    assert [int(p[0, 0, 0]) for p in video._shown(pictures(pause), times, np.inf)] == [1, 2]
    assert video._shown(pictures([]), times, np.inf) is None


@pytest.mark.parametrize('suffix', ['.avi', '.mpg'])
def test_the_last_frame_is_shown_last_though_it_has_no_time_stamp(tmp_path, suffix):
    path = write(tmp_path / f'clip{suffix}', 1.0)
    stamps = [now for now, _ in video._opencv(path, video._declared(path), None)]
    assert len(stamps) == 25
    np.testing.assert_allclose(np.diff(stamps), 0.04, atol=1e-6)


@pytest.mark.skipif(not SHARED.exists(), reason='no shared sample files on this machine')
def test_pyav_turns_pictures_as_opencv_does(monkeypatch):
    path = SHARED / 'clips' / 'torchcodec__nasa_13013_rotated.mp4'
    expected = read_frames(path, [0.3])
    monkeypatch.setattr(video, '_opencv', lambda *given: (picture for picture in ()))
    np.testing.assert_allclose(read_frames(path, [0.3]), expected, atol=2)
