# A spoken digit and a handwritten one of the same class, 2000, 500 and 500 pairs; no speaker is in
# two splits. Sound: Free Spoken Digit Dataset, CC BY-SA 4.0, 8 kHz; 95 in 100 are 0.66 s or less.
# Pictures: test images of MNIST, 28 x 28.
_base_ = '../loaders.py'
num_classes = 10
spectrogram = dict(type='LogSpectrogram', rate_hz=8000, length_s=0.64, nperseg=128, noverlap=0)
data = dict(  # shared by the three loaders
    type='Manifest',
    root='data/av_digits',
    modalities=dict(
        audio=dict(rate_hz=8000, transforms=[spectrogram]),
        image=dict(transforms=[dict(type='Normalize')]),
    ),
    group='speaker',
)
train_dataloader = val_dataloader = test_dataloader = dict(batch_size=64, num_workers=0)
val_evaluator = dict(type='Classification')
test_evaluator = dict(type='Classification', table=True)
auto_scale_lr = dict(base_batch_size=64)
del spectrogram
