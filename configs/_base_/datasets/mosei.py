# CMU-MOSEI: what is said, its sound and its face, and a sentiment in [-3, 3]. Text is BERT's last
# layer, computed beforehand. 16326, 1871 and 4659 utterances (docs/datasets/mosi.md).
_base_ = '../loaders.py'
widths = dict(text=768, audio=74, vision=35)
data = dict(  # shared by the three loaders
    type='MOSEI',
    root='data/MOSEI',
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
    module='mmcalib.samples.mosei',
    root='data/sample_mosei',
    page='docs/datasets/mosi.md',
    overlay=dict(train_cfg=dict(max_epochs=12)),
)
