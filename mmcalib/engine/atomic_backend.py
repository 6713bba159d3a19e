"""AtomicBackend: a local file that is either the old one or the new one, never half of one."""

import io
import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend


@register_backend('atomic', force=True)
class AtomicBackend(LocalBackend):
    """mmengine's local files, written beside their name and then moved onto it.

    A kill at any instant leaves the previous content, or a temporary file `.<name>.tmp` besides.
    `backend_args=dict(backend='atomic')` asks for it.
    """

    def put(self, obj: bytes | io.BytesIO, filepath: str | Path) -> None:
        """Write bytes to a file; folders are made.

        Raises:
            OSError: the disk is full or the folder is not writable; the previous content stays.
        """
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f'.{path.name}.tmp')
        try:
            with temporary.open('wb') as file:
                file.write(obj if isinstance(obj, bytes) else obj.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)  # noqa: PTH105 - named in the tests that make it fail
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text to a file, as `put` writes bytes."""
        self.put(obj.encode(encoding), filepath)


def _sync_folder(folder: Path) -> None:
    """Make the move itself durable; Windows cannot open a folder."""
    if os.name == 'nt':
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
