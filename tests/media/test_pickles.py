"""Data comes back as it was; anything else is refused, named, and never run."""

import builtins
import contextlib
import os
import pickle
import struct
from collections import Counter, OrderedDict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mmcalib.media import MediaError
from mmcalib.media.pickles import load

PROTOCOLS = pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))


@pytest.fixture
def save(tmp_path):
    def write(content, protocol=4) -> Path:
        path = tmp_path / 'file.pkl'
        raw = content if isinstance(content, bytes) else pickle.dumps(content, protocol)
        path.write_bytes(raw)
        return path

    return write


class Calls:
    """What a malicious pickle is made of."""

    def __init__(self, function, *arguments) -> None:
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


ARRAYS = {
    'float32': np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7,
    'not finite': np.array([np.nan, -np.inf, 1e300]),
    'big endian': np.arange(5, dtype='>f8'),
    'columns first': np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    'a view': np.arange(20)[::3],
    'int64': np.array([[1, -2], [3, 4]]),
    'bool': np.array([True, False]),
    'complex': np.array([1 + 2j]),
    'bytes': np.array([[b'vid', b'0.5', b'12.25']]),
    'text': np.array(['a', 'bcd', '\u00e9\u4e2d']),
    'empty': np.zeros((0, 5)),
    'scalar shape': np.array(3.5),
    'objects': np.array(['word', b'id', 3, None], dtype=object),
}


@PROTOCOLS
@pytest.mark.parametrize('name', ARRAYS)
def test_an_array_comes_back_equal(save, name, protocol):
    array = ARRAYS[name]
    back = load(save(array, protocol))
    assert isinstance(back, np.ndarray)
    # Bytes in the other order are swapped, as numpy does.
    orders = {array.dtype, array.dtype.newbyteorder('=')}
    assert back.shape == array.shape and back.dtype in orders
    np.testing.assert_array_equal(np.asarray(back), array)


@PROTOCOLS
def test_containers_text_and_numbers_come_back_equal(save, protocol):
    shared = [1, 2]
    content = {
        'train': OrderedDict(a=[1, 2.5, None, True], b=(b'\xff\x00', 'text', '\u4e2d')),
        'numbers': [10**30, -1, 1 + 2j, float('inf'), np.float32(0.1), np.int64(-7), np.bool_(1)],
        'sets': {1, 'a'},
        'bytes': [b'', b'id'],
        'twice': [shared, shared],
    }
    back = load(save(content, protocol))
    assert back == content
    assert back['numbers'][4].dtype == np.float32 and type(back['train']) is OrderedDict
    assert back['twice'][0] is back['twice'][1]


def test_objects_may_hold_arrays_and_containers(save):
    nested = np.empty(2, dtype=object)
    nested[:] = [np.arange(3.0), {'words': ['a', 'b']}]
    back = load(save(nested))
    np.testing.assert_array_equal(np.asarray(back[0]), [0, 1, 2])
    assert back[1] == {'words': ['a', 'b']}


@pytest.mark.parametrize('home', [b'numpy.core.multiarray', b'numpy._core.multiarray'])
def test_numpy_s_old_and_new_home_are_known(save, home):
    array = np.arange(4.0)
    raw = pickle.dumps(array, 2)
    written = next(h for h in (b'numpy._core.multiarray', b'numpy.core.multiarray') if h in raw)
    np.testing.assert_array_equal(np.asarray(load(save(raw.replace(written, home)))), array)


def test_a_pickle_of_python_2_is_read(save):
    # Protocol 2 as Python 2 writes it: str is SHORT_BINSTRING 'U', also for an array's bytes.
    def string(raw: bytes) -> bytes:
        return b'U' + bytes([len(raw)]) + raw

    numbers = struct.pack('<2d', 0.25, -3.5)
    assert max(numbers) > 127, 'bytes that are no ASCII'
    dtype = b'cnumpy\ndtype\n' + string(b'f8') + b'K\x00K\x01\x87R'
    dtype += b'(K\x03' + string(b'<') + b'NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb'
    array = b'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85' + string(b'b')
    array += b'\x87R(K\x01K\x02\x85' + dtype + b'\x89' + string(numbers) + b'tb'
    items = b'c__builtin__\nset\n]' + string(b'id') + b'a\x85R'
    raw = b'\x80\x02}(' + string(b'vision') + array + string(b'ids') + items + b'u.'
    back = load(save(raw))
    assert back['ids'] == {'id'}
    np.testing.assert_array_equal(np.asarray(back['vision']), [0.25, -3.5])


@pytest.mark.parametrize('wrap', [lambda x: x, lambda x: {'train': [(x, 1)]}, lambda x: [{1: x}]])
@PROTOCOLS
def test_code_is_refused_by_name_and_not_run(save, tmp_path, wrap, protocol):
    witness = tmp_path / 'it_ran'
    attacks = {
        r'(posix|nt)\.system': Calls(os.system, f'echo > {witness}'),
        r'builtins\.eval': Calls(builtins.eval, f'open({str(witness)!r}, "w")'),
        r'builtins\.exec': Calls(builtins.exec, f'open({str(witness)!r}, "w")'),
        r'(builtins|io|__builtin__)\.open': Calls(builtins.open, str(witness), 'w'),
        r'builtins\.getattr': Calls(getattr, 1, 'real'),
        r'(builtins\.map|itertools\.imap)': Calls(map, str, [1]),
    }
    for name, attack in attacks.items():
        path = save(wrap(attack), protocol)
        with pytest.raises(MediaError, match=rf'file\.pkl: .* it names {name}; .*may run code'):
            load(path)
    assert not witness.exists()
    pickle.loads(pickle.dumps(Calls(builtins.open, str(witness), 'w'))).close()
    assert witness.exists(), 'the attack works on the plain unpickler'


def test_an_attack_inside_an_array_of_objects_is_refused(save, tmp_path):
    witness = tmp_path / 'it_ran'
    hidden = np.empty(1, dtype=object)
    hidden[0] = Calls(builtins.open, str(witness), 'w')
    with pytest.raises(MediaError, match=r'it names io\.open'):
        load(save({'train': {'raw_text': hidden}}))
    assert not witness.exists()


@pytest.mark.parametrize(
    ('content', 'name'),
    [
        (Fraction(1, 3), r'fractions\.Fraction'),
        (Counter('a'), r'collections\.Counter'),
        (np.float32, r'numpy\.float32'),
        (np.ma.masked_array([1.0], [True]), r'numpy\.ma'),
        (Path('a'), r'pathlib'),
    ],
)
def test_other_classes_are_refused_by_name(save, content, name):
    with pytest.raises(MediaError, match=f'it names {name}'):
        load(save(content))


def forged(dtype: str, state: tuple, content: object) -> Calls:
    """An array whose dtype has a forged state."""

    class DType(Calls):
        def __reduce__(self):
            return np.dtype, (dtype, False, True), state

    class Array(Calls):
        def __reduce__(self):
            function, arguments, _ = np.zeros(1).__reduce__()
            return function, arguments, (1, (1,), DType(None), False, content)

    return Array(None)


def test_bytes_cannot_pose_as_objects(save):
    # Flags of 0 would deny that the bytes are pointers.
    for content in (b'\x41' * 8, b'\x41'):
        attack = forged('O8', (3, '|', None, None, None, -1, -1, 0), content)
        with pytest.raises(MediaError, match='array of 1 objects without a list'):
            load(save(attack))
    named = forged('V8', (3, '|', None, ('a',), {'a': (np.dtype('O'), 0)}, 8, 1, 0), b'\x41' * 8)
    with pytest.raises(MediaError, match="dtype 'V8'"):
        load(save(named))
    inner = forged('f8', (3, '|', (np.dtype('O'), (1,)), None, None, 8, 1, 0), b'\x41' * 8)
    with pytest.raises(MediaError, match='structured dtype'):
        load(save(inner))


@pytest.mark.parametrize('count', [0, 7, 9, 16])
def test_an_array_needs_the_bytes_of_its_shape(save, count):
    attack = forged('f8', (3, '<', None, None, None, -1, -1, 0), b'\x00' * count)
    with pytest.raises(MediaError, match='wrong number of bytes'):
        load(save(attack))


def test_what_is_on_the_list_does_nothing_but_its_part(save):
    with pytest.raises(MediaError, match=r'_codecs\.encode with .rot13'):
        load(save(Calls(__import__('_codecs').encode, 'text', 'rot13')))
    with pytest.raises(MediaError, match='makes bytes of 1000000000000'):
        load(save(Calls(bytes, 10**12)))
    with pytest.raises(MediaError, match=r'calls numpy\.ndarray'):
        load(save(Calls(np.ndarray, (10**12,))))
    reconstruct = np.zeros(1).__reduce__()[0]
    with pytest.raises(MediaError, match=r'reconstructs a .*numpy\.ndarray is possible'):
        load(save(Calls(reconstruct, list, (0,), b'b')))


def test_a_file_cannot_change_the_unpickler_for_the_next(save):
    # BUILD with a pair sets attributes of whatever is on the stack.
    raw = b'\x80\x02cnumpy\ndtype\n(N}(U\x0c__defaults__(U\x02f8tu\x86b.'
    with contextlib.suppress(MediaError):
        load(save(raw))
    np.testing.assert_array_equal(np.asarray(load(save(np.arange(3)))), [0, 1, 2])
    with pytest.raises(MediaError, match=r'builtins\.eval'):
        load(save(Calls(builtins.eval, '1')))


@pytest.mark.parametrize('share', [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off_says_so(save, share):
    raw = pickle.dumps({'train': {'vision': np.ones((20, 30)), 'id': ['a'] * 20}})
    with pytest.raises(MediaError, match=r'file\.pkl: .*cut off or none'):
        load(save(raw[: int(share * len(raw))]))


@pytest.mark.parametrize(
    'raw', [b'<!DOCTYPE html><html>', b'version https://git-lfs', b'\x89HDF\r\n', b'{"a": 1}']
)
def test_a_file_of_another_kind_shows_how_it_begins(save, raw):
    with pytest.raises(MediaError) as caught:
        load(save(raw))
    assert repr(raw[:16]) in str(caught.value)


def test_random_damage_never_gives_another_error(save):
    raw = pickle.dumps({'a': [np.arange(5.0), 'text', b'id', (1, 2)], 'b': {'c': np.array(['x'])}})
    random = np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(raw)
        damaged[random.integers(len(raw))] = random.integers(256)
        try:
            load(save(bytes(damaged)))
        except MediaError as error:
            assert 'file.pkl' in str(error)


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path):
    with pytest.raises(MediaError, match=r'none\.pkl: .*No such file'):
        load(tmp_path / 'none.pkl')
    with pytest.raises(MediaError, match='Is a directory'):
        load(tmp_path)


@pytest.mark.parametrize('dtype', ['<U3', '>U3'])
@pytest.mark.parametrize('protocol', [2, 4, 5])
@pytest.mark.parametrize('scalar', [False, True])
def test_text_that_is_none_is_refused(tmp_path, dtype, protocol, scalar):
    good = np.array(['abc', 'xyz'], dtype)
    whole = pickle.dumps(good[1] if scalar else good, protocol)
    character = np.array('y', dtype[:2] + '1').tobytes() if not scalar else b'y\0\0\0'
    at = whole.index(character)
    bad = bytearray(whole)
    bad[at : at + 4] = b'\x7f' * 4
    (tmp_path / 'file').write_bytes(bad)
    with pytest.raises(MediaError, match='text with the character 0x7f7f7f7f'):
        load(tmp_path / 'file')
    (tmp_path / 'file').write_bytes(whole)
    assert np.array_equal(load(tmp_path / 'file'), good[1] if scalar else good)
