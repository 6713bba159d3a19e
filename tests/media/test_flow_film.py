import cv2
import numpy as np
import pytest
from footage import write

from mmcalib.media import MediaError
from mmcalib.media.cache import Recorder, open_files, read_shard, write_index, write_shard
from mmcalib.media.files import Files
from mmcalib.media.film import Video
from mmcalib.media.flow import flow_to_bytes, optical_flow
from mmcalib.media.flow_film import FlowFolders, VideoFlow


@pytest.fixture
def stored(tmp_path):
    """Two folders of five pictures: u is 10, 20, ..., v is 11, 21, ..."""
    for name, extra in (('u', 0), ('v', 1)):
        (tmp_path / name).mkdir()
        for k in range(1, 6):
            grey = np.full((6, 8), 10 * k + extra, np.uint8)
            cv2.imwrite(str(tmp_path / name / f'frame{k:06d}.png'), grey)
    return tmp_path


def test_u_and_v_are_joined_place_by_place(stored):
    flow = Files(stored).pictures(FlowFolders(stored / 'u', '../v'), 5)
    assert flow.shape == (5, 6, 8, 2) and flow.dtype == np.uint8
    assert flow[:, 0, 0].tolist() == [[10 * k, 10 * k + 1] for k in range(1, 6)]


def test_u_and_v_may_lie_in_one_folder(stored):
    (stored / 'both').mkdir()
    for name, prefix in (('u', 'flow_x_'), ('v', 'flow_y_')):
        for k, file in enumerate(sorted((stored / name).iterdir())):
            file.rename(stored / 'both' / f'{prefix}{k:05d}.png')
    film = FlowFolders(stored / 'both', '.', 'flow_x_', 'flow_y_')
    assert Files(stored).pictures(film, 1)[0, 0, 0].tolist() == [30, 31]


def test_flow_that_is_not_whole_says_so(stored):
    def read():
        return Files(stored).pictures(FlowFolders(stored / 'u', '../v'), 1)

    (stored / 'v' / 'frame000003.png').write_bytes(b'no picture')
    with pytest.raises(MediaError, match=r'v/frame000003\.png: asked for a picture'):
        read()
    cv2.imwrite(str(stored / 'v' / 'frame000003.png'), np.zeros((5, 8), np.uint8))
    with pytest.raises(MediaError, match=r'v is \(5, 8\), but u is \(6, 8\)'):
        read()
    (stored / 'v' / 'frame000003.png').unlink()
    with pytest.raises(MediaError, match='5 of u and 4 of v'):
        read()
    with pytest.raises(MediaError, match='No such file'):
        Files(stored).pictures(FlowFolders(stored / 'u', '../w'), 1)


@pytest.fixture
def moving(tmp_path):
    """A textured picture that moves 2 pixels to the right and 1 down per frame, 25 per second."""
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.uniform(0, 255, (160, 240, 3)), (0, 0), 3)
    texture = ((texture - texture.min()) / np.ptp(texture) * 255).astype(np.uint8)
    import av

    path = tmp_path / 'moving.avi'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, 'yuv420p'
        stream.bit_rate = 4_000_000
        for k in range(30):
            view = texture[60 - k : 124 - k, 100 - 2 * k : 196 - 2 * k]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(view), format='rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize('method', ['dis', 'farneback'])
def test_flow_of_a_video_is_its_motion(moving, method):
    flow = Files(moving.parent).pictures(VideoFlow(moving, method=method), 4)
    assert flow.shape == (4, 64, 96, 2)
    pixels = (flow[:, 16:48, 16:80] / 127.5 - 1) * 20
    assert np.median(pixels[..., 0]) == pytest.approx(2.0, abs=0.2)
    assert np.median(pixels[..., 1]) == pytest.approx(1.0, abs=0.2)


def test_it_is_the_flow_from_the_frame_shown_to_the_next(moving):
    frames = np.stack(Video(moving).whole().pictures)
    for time, first in ((0.0, 0), (0.5, 12), (0.53, 13), (1.19, 28)):  # the last has no next one
        expected = flow_to_bytes(optical_flow(frames[[first]], frames[[first + 1]]))
        assert np.array_equal(VideoFlow(moving).at(np.array([time])), expected), time


@pytest.mark.parametrize('cut', [1.0, 0.5])
@pytest.mark.parametrize('fps', [None, 3.0])
def test_a_cache_of_it_gives_the_same(moving, tmp_path, fps, cut):
    moving.write_bytes(moving.read_bytes()[: int(moving.stat().st_size * cut)])
    files = Files(tmp_path)
    film = VideoFlow(moving, 0.1, 1.1, fps)
    recorder = Recorder(files)
    recorder.pictures(film, 1)
    folder = tmp_path / 'cache'
    folder.mkdir()
    write_shard(folder / 'a.safetensors', recorder.entries)
    write_index(folder, {'fps': None, 'side': None}, [read_shard(folder / 'a.safetensors')])
    cache = open_files(tmp_path, cache=str(folder))
    for seed in range(10):
        one, two = (f.pictures(film, 3, np.random.default_rng(seed)) for f in (files, cache))
        assert np.array_equal(one, two)


def test_a_video_without_pictures_has_no_flow(tmp_path):
    path = write(tmp_path / 'a.mp4', video=False)
    with pytest.raises(MediaError, match='no video'):
        Files(tmp_path).pictures(VideoFlow(path), 1)
