"""Packaging of mmcalib."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = next(
    line.split("'")[1]
    for line in (HERE / 'mmcalib' / '__init__.py').read_text().splitlines()
    if line.startswith('__version__')
)
EXPORT = ['onnx>=1.17', 'onnxscript>=0.5', 'onnxruntime>=1.20']  # apis/export.py, to ONNX
HF = ['transformers>=4.44']  # the encoder HuggingFace
SEARCH = ['optuna>=4']  # tools/search.py
SLURM = ['submitit>=1.5']  # tools/compare.py --slurm
TEST = ['pytest>=8', 'pytest-xdist>=3.5', *EXPORT, *HF, *SEARCH, *SLURM]

setup(
    name='mmcalib',
    version=VERSION,
    description='Calibrate modality features before fusion',
    long_description=(HERE / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.11',
    packages=find_packages(include=['mmcalib', 'mmcalib.*']),
    install_requires=[
        'torch>=2.4',
        'torchaudio>=2.4',
        'mmengine>=0.10.7',
        'numpy>=1.26',
        'opencv-python>=5',
        'av>=18',
        'einops>=0.8',
        'scipy>=1.11',
        'scikit-learn>=1.4',
        'tensorboard>=2.15',
        'safetensors>=0.4',  # caches of decoded media
        'h5py>=3.10',  # AVEFeatures
        'tqdm>=4.66',
        'setuptools',  # mmengine's environment report imports distutils
    ],
    extras_require={
        'export': EXPORT,
        'hf': HF,
        'search': SEARCH,
        'slurm': SLURM,
        'test': TEST,
        'dev': [*TEST, 'ruff>=0.17,<0.18', 'mypy>=2.4,<2.5'],
    },
)
