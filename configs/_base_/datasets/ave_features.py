# AVE as its authors' features of ten seconds, VGGish of the sound and VGG-19 of the pictures, and
# the event of the clip, one of 28 classes (docs/datasets/ave.md).
_base_ = '../loaders.py'
num_classes = 28
widths = dict(audio=128, visual=512)
data = dict(type='AVEFeatures', root='data/AVE', pool='mean')  # shared by the three loaders
train_dataloader = val_dataloader = test_dataloader = dict(
    batch_size=64, num_workers=2, persistent_workers=True
)
val_evaluator = dict(type='Classification')
test_evaluator = dict(type='Classification', table=True)
auto_scale_lr = dict(base_batch_size=64)
