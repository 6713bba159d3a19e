# CREMA-D in the words of its audience: votes of people who only heard a clip (`audio`) or only saw
# it (`visual`), six shares of votes and six mean levels each; the class is the emotion that was
# acted. 5954, 744 and 744 clips. From CREMA-D's table tabulatedVotes, ODbL 1.0. No signal is in it.
_base_ = '../loaders.py'
num_classes = 6
widths = dict(audio=12, visual=12)
data = dict(  # shared by the three loaders
    type='Manifest',
    root='data/cremad_votes/cremad_votes.npz',
    modalities=['audio', 'visual'],
    classes=['ANG', 'DIS', 'FEA', 'HAP', 'NEU', 'SAD'],
)
train_dataloader = val_dataloader = test_dataloader = dict(batch_size=128, num_workers=0)
val_evaluator = dict(type='Classification')
test_evaluator = dict(type='Classification', table=True)
auto_scale_lr = dict(base_batch_size=128)
