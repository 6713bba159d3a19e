# CMU-MOSI: what is said, its sound and its face, and a sentiment in [-3, 3]. Features in the widths
# of MIM and MAG-BERT; text is BERT's last layer, computed beforehand. 1284, 229 and 686 utterances.
# docs/datasets/mosi.md has the files that are around, and their widths.
_base_ = '../loaders.py'
widths = dict(text=768, audio=74, vision=47)
data = dict(  # shared by the three loaders
    type='MOSI',
    root='data/MOSI',
    modalities=['text', 'audio', 'vision'],  # x (L, width) each, the mask False where padded
    length=50,  # at most so many tokens, one per word piece
    target='regression',  # a number in [-3, 3]; target () of an item
)
train_dataloader = val_dataloader = test_dataloader = dict(
    batch_size=16, num_workers=2, persistent_workers=True
)
val_evaluator = dict(type='Sentiment')
test_evaluator = dict(type='Sentiment')
auto_scale_lr = dict(base_batch_size=16)
sample = dict(  # what a run falls back on when data.root does not exist
    module='mmcalib.samples.mosi',
    root='data/sample_mosi',
    page='docs/datasets/mosi.md',
    overlay=dict(train_cfg=dict(max_epochs=12)),
)
