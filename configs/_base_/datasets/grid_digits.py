# A person who says a digit, on video with sound, in AVE's layout: 400, 80 and 120 clips of one
# speaker. GRID corpus (Cooke et al. 2006), s1, CC BY 4.0. Events last 0.1 to 0.6 s; 0.2 s are added
# on both sides, and 0.7 s of sound are read.
_base_ = '../loaders.py'
num_classes = 10
data = dict(  # shared by the three loaders
    type='AVE',
    root='data/grid_digits',
    classes='auto',
    context_s=0.2,
    frames=1,
    audio=[dict(type='LogSpectrogram', length_s=0.7, nperseg=256, noverlap=0)],
)
evaluate = [dict(type='Resize', size=64), dict(type='Normalize')]
loader = dict(batch_size=32, num_workers=0)
train_dataloader = dict(
    **loader,
    dataset=dict(
        visual=[
            dict(type='RandomResizedCrop', size=64, scale=[0.6, 1.0]),
            dict(type='Normalize'),
        ],
    ),
)
val_dataloader = dict(**loader, dataset=dict(visual=evaluate))
test_dataloader = dict(**loader, dataset=dict(visual=evaluate))
val_evaluator = dict(type='Classification')
test_evaluator = dict(type='Classification', table=True)
auto_scale_lr = dict(base_batch_size=32)
del loader, evaluate
